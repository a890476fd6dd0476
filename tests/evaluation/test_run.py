import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluation.scripted import Named, Scripted
from rarl.config import Control
from rarl.data import Dataset
from rarl.draws import Draws
from rarl.errors import DataError, RunFolderError
from rarl.evaluation import evaluate, read_records
from rarl.evaluation.summary import Summary
from rarl.judges.asking import FunctionJudge
from rarl.prompting import load_pool
from rarl.types import Example, Finish, JudgeQuery, Prompt, QuestionKind, Sampling, Shape, Verdict


def question(number: int, answer: str = "yes", **more: Any) -> Example:
    """Two questions an image."""
    image = f"image-{number // 2}"
    values: dict[str, Any] = {"kind": QuestionKind.YESNO, "modality": "chest X-ray", "task": "presence"} | more
    return Example(f"q{number}", image, (Named(image),), f"Is there a nodule in scan {number}?", answer, **values)


DATA = Dataset("ward", "test", tuple(question(number, "no" if number % 4 == 0 else "yes") for number in range(12)))


POOL = load_pool("default")
SWAPPED = (Control.SWAPPED,)


def thinking(answer: str, reasoning: str = "There is a dark spot in the upper zone, so the finding is there.") -> str:
    return f"<think> {reasoning} </think> <answer> {answer} </answer>"


def always_yes(prompt: Prompt, sample: int) -> str:
    return thinking("yes")


def run(engine: Scripted, folder: Path, data: Dataset = DATA, **changes: Any) -> Summary:
    arguments: dict[str, Any] = {
        "template": POOL.reasoning,
        "sampling": Sampling(temperature=0.0, max_new_tokens=32),
        "draws": Draws(0).at("eval"),
        "prompts_per_batch": 5,
        "baselines": (),
    }
    return evaluate(engine, data, folder=folder, **arguments | changes)


def test_every_question_gets_a_record_and_the_summary_its_numbers(tmp_path: Path) -> None:
    def say(prompt: Prompt, sample: int) -> str:
        return {"q1": "I am not sure", "q3": "<think> Well, it goes on and on..."}.get(
            prompt.example.id, thinking("Yes.")
        )

    engine = Scripted(say)
    summary = run(engine, tmp_path / "eval")
    records = read_records(tmp_path / "eval")
    assert [record.id for record in records] == [item.id for item in DATA]
    assert engine.batches == [5, 5, 2]
    # 9 golds are yes; of these q1 and q3 have no answer
    accuracy = summary.metrics["accuracy"]
    assert (accuracy.mean, accuracy.n, accuracy.clusters, accuracy.unscored) == (pytest.approx(7 / 12), 12, 6, 0)
    assert accuracy.low < 7 / 12 < accuracy.high
    assert summary.metrics["parse_failures"].mean == pytest.approx(2 / 12)
    assert summary.metrics["cut_off"].mean == pytest.approx(1 / 12)
    assert summary.metrics["format"].mean == pytest.approx(10 / 12)
    first = records[1]
    assert (first.answer, first.reasoning, first.grade.correct) == (None, None, False)
    assert records[2].answer == "Yes."
    assert records[2].grade.correct
    assert records[2].reasoning.startswith("There is a dark spot")
    assert records[3].finishes == (Finish.LENGTH,)


def test_records_and_summary_have_the_names_that_the_outside_relies_on(tmp_path: Path) -> None:
    run(Scripted(always_yes), tmp_path, baselines=SWAPPED)
    rows = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert {"id", "cluster", "question", "gold", "completion", "answer", "grade"} <= rows[0].keys()
    assert rows[0]["completion"] == thinking("yes")
    summary = json.loads((tmp_path / "summary.json").read_text())
    for metric in (summary["accuracy"], summary["reasoning"], *summary["baselines"].values()):
        assert metric.keys() == {"mean", "low", "high", "n", "clusters", "unscored"}
    assert summary["baselines"].keys() == {"majority_answer", "shuffled_image"}
    assert summary["by"]["kind"]["yesno"]["accuracy"]["n"] == 12
    assert summary["by"].keys() == {"kind", "modality", "task"}
    assert (summary["settings"]["data"], summary["settings"]["split"]) == ("ward", "test")


def test_the_pools_two_instructions_of_inference(tmp_path: Path) -> None:
    shapes = []

    def say(prompt: Prompt, sample: int) -> str:
        shapes.append(prompt.shape)
        return "<answer> yes </answer>"

    assert "reasoning" in run(Scripted(say), tmp_path / "think").metrics
    direct = run(Scripted(say), tmp_path / "direct", template=POOL.direct)
    assert set(shapes[:12]) == {Shape.THINK}
    assert set(shapes[12:]) == {Shape.DIRECT}
    assert "reasoning" not in direct.metrics  # does not apply, which is not 0
    assert direct.metrics["accuracy"].mean == 0.75
    assert direct.metrics["parse_failures"].mean == 0


def test_majority_vote(tmp_path: Path) -> None:
    said = ["no", "Yes.", "no answer at all", "yes", "NO", " yes "]

    def say(prompt: Prompt, sample: int) -> str:
        return said[sample] if sample == 2 else thinking(said[sample], f"This is the reasoning of sample {sample}.")

    summary = run(Scripted(say), tmp_path, samples=6, sampling=Sampling(temperature=1.0))
    record = read_records(tmp_path)[1]
    assert (record.answer, record.reasoning) == ("Yes.", "This is the reasoning of sample 1.")  # 3 yes against 2 no
    assert len(record.completions) == 6
    assert record.grade.correct
    assert summary.metrics["parse_failures"].mean == pytest.approx(1 / 6)


def test_a_tie_goes_to_the_answer_given_first(tmp_path: Path) -> None:
    run(Scripted(lambda prompt, i: thinking(["no", "yes", "Yes", "No"][i])), tmp_path, samples=4)
    assert read_records(tmp_path)[0].answer == "no"


def test_without_any_answer_the_first_completion_is_kept(tmp_path: Path) -> None:
    run(Scripted(lambda prompt, i: f"nothing {i}"), tmp_path, samples=3)
    row = json.loads((tmp_path / "records.jsonl").read_text().splitlines()[0])
    assert (row["answer"], row["completion"], row["grade"]["correct"]) == (None, "nothing 0", False)


def test_options_and_letters(tmp_path: Path) -> None:
    options = ("pneumonia", "fracture", "normal", "cyst")
    item = question(0, "fracture", kind=QuestionKind.MCQ, options=options)
    votes = ["B", "fracture", "A"]
    run(Scripted(lambda prompt, i: thinking(votes[i])), tmp_path, Dataset("ward", "test", (item,)), samples=3)
    assert read_records(tmp_path)[0].grade.correct  # the letter and the text of an option are one answer


# --- killed and run again


def whole(folder: Path) -> bytes:
    run(Scripted(always_yes), folder)
    return (folder / "records.jsonl").read_bytes()


def test_killed_between_batches_nothing_is_lost_or_asked_twice(tmp_path: Path) -> None:
    expected = whole(tmp_path / "whole")
    folder = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        run(Scripted(always_yes, stop_after=2), folder)
    assert len(read_records(folder)) == 10
    assert not (folder / "summary.json").exists()
    second = Scripted(always_yes)
    run(second, folder)
    assert second.asked == ["q10", "q11"]
    assert (folder / "records.jsonl").read_bytes() == expected


def test_killed_within_a_row_the_row_is_made_anew(tmp_path: Path) -> None:
    expected = whole(tmp_path / "whole")
    settings = (tmp_path / "whole/settings.json").read_bytes()
    for number, kept in enumerate((*range(0, len(expected), len(expected) // 23), len(expected) - 1, len(expected))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "settings.json").write_bytes(settings)
        (folder / "records.jsonl").write_bytes(expected[:kept])
        engine = Scripted(always_yes)
        run(engine, folder)
        assert (folder / "records.jsonl").read_bytes() == expected
        assert len(engine.asked) == 12 - expected[:kept].count(b"\n")


def test_a_finished_evaluation_is_summed_up_again_without_asking(tmp_path: Path) -> None:
    first = run(Scripted(always_yes), tmp_path, baselines=SWAPPED)
    engine = Scripted(always_yes, stop_after=0)
    assert run(engine, tmp_path, baselines=SWAPPED) == first


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"template": POOL.direct}, "template"),
        ({"samples": 2}, "samples"),
        ({"sampling": Sampling(temperature=0.5, max_new_tokens=32)}, "temperature"),
        ({"draws": Draws(1).at("eval")}, "seed"),
        ({"about": {"adapter": "b"}}, "adapter"),
        ({"data": Dataset("ward", "test", DATA.examples[:-1])}, "questions = 12, not 11"),
        ({"data": Dataset("ward", "test", (*DATA.examples[:-1], question(11, "no")))}, "questions_digest"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    run(Scripted(always_yes), tmp_path, about={"adapter": "a"})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunFolderError, match=key):
        run(Scripted(always_yes), tmp_path, **{"about": {"adapter": "a"}} | changes)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_other_batch_sizes_are_no_other_setting(tmp_path: Path) -> None:
    expected = whole(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Scripted(always_yes, stop_after=1), tmp_path / "cut")
    run(Scripted(always_yes), tmp_path / "cut", prompts_per_batch=1)
    assert (tmp_path / "cut/records.jsonl").read_bytes() == expected


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="is no evaluation"):
        run(Scripted(always_yes), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


# --- baselines


def looking(images_of_yes: set[str]) -> Callable[[Prompt, int], str]:
    """A model that answers by the image that it is shown."""
    return lambda prompt, i: thinking("yes" if prompt.example.images[0].name in images_of_yes else "no")


def test_shuffled_images_show_whether_the_image_was_used(tmp_path: Path) -> None:
    examples = tuple(question(number, "yes" if number < 20 else "no") for number in range(40))
    data = Dataset("ward", "test", examples)
    engine = Scripted(looking({f"image-{number}" for number in range(10)}))
    summary = run(engine, tmp_path / "sees", data, baselines=SWAPPED)
    assert summary.metrics["accuracy"].mean == 1.0
    assert summary.baselines["majority_answer"].mean == 0.5
    assert summary.baselines["shuffled_image"].mean < 0.8
    blind = run(Scripted(always_yes), tmp_path / "blind", data, baselines=SWAPPED)
    assert blind.baselines["shuffled_image"] == blind.metrics["accuracy"]
    shuffled = read_records(tmp_path / "sees/swapped")
    assert [record.id for record in shuffled] == [item.id for item in examples]


def test_killed_in_the_shuffled_pass_it_goes_on_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Scripted(always_yes, stop_after=4), tmp_path, baselines=SWAPPED)
    engine = Scripted(always_yes)
    summary = run(engine, tmp_path, baselines=SWAPPED)
    assert len(engine.asked) == 7
    assert summary.baselines["shuffled_image"].n == 12


def test_where_images_cannot_be_swapped_there_is_no_such_baseline(tmp_path: Path) -> None:
    data = Dataset("ward", "test", DATA.examples[:2])  # one image
    summary = run(Scripted(always_yes), tmp_path, data, baselines=SWAPPED)
    assert summary.baselines.keys() == {"majority_answer"}
    assert summary.metrics["accuracy"].low is None


# --- controls


def seen(prompt: Prompt, sample: int) -> str:
    images = [image.name for image in prompt.example.images]
    return thinking("yes", f"It was seen on {', '.join(images) or 'nothing'}.")


@pytest.mark.parametrize(
    ("control", "shown"),
    [
        (Control.NONE, "image-0"),
        (Control.BLANK, "blank for image-0"),
        (Control.QUESTION_ONLY, "nothing"),
    ],
)
def test_an_evaluation_under_a_control_asks_nothing_beside_it(control: Control, shown: str, tmp_path: Path) -> None:
    engine = Scripted(seen)
    summary = run(engine, tmp_path, control=control, baselines=SWAPPED if control is not Control.NONE else ())
    assert read_records(tmp_path)[0].reasoning == f"It was seen on {shown}."
    assert len(engine.asked) == 12
    assert summary.settings["control"] == control.value
    assert summary.baselines.keys() == {"majority_answer"}
    assert summary.image_worth == {}


def test_a_control_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    data = Dataset("ward", "test", DATA.examples[:2])  # one image
    with pytest.raises(DataError, match="no images to swap"):
        run(Scripted(seen), tmp_path / "eval", data, control=Control.SWAPPED)
    assert not (tmp_path / "eval").exists()


def test_a_folder_is_continued_under_the_same_control_only(tmp_path: Path) -> None:
    run(Scripted(always_yes), tmp_path)
    with pytest.raises(RunFolderError, match="control = 'none', not 'blank'"):
        run(Scripted(always_yes), tmp_path, control=Control.BLANK)


def test_what_the_image_is_worth_under_each_control(tmp_path: Path) -> None:
    def say(prompt: Prompt, sample: int) -> str:
        images = prompt.example.images
        return thinking("no" if images and images[0].name in ("image-0", "image-2", "image-4") else "yes")

    examples = tuple(question(number, "no" if number // 2 % 2 == 0 else "yes") for number in range(12))
    controls = (Control.SWAPPED, Control.BLANK, Control.QUESTION_ONLY)
    summary = run(Scripted(say), tmp_path, Dataset("ward", "test", examples), baselines=controls)
    assert summary.metrics["accuracy"].mean == 1.0
    # without its image every question is answered yes, which is right for half of them
    for control, name in (("blank", "blank_image"), ("question_only", "question_only")):
        assert summary.baselines[name].mean == 0.5
        worth = summary.image_worth[control]
        assert (worth.mean, worth.n, worth.clusters) == (0.5, 12, 6)
        assert (tmp_path / control / "records.jsonl").is_file()
    swapped = summary.image_worth["swapped"]
    assert swapped.mean == pytest.approx(1 - summary.baselines["shuffled_image"].mean)
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["image_worth"]["blank"].keys() == {"mean", "low", "high", "n", "clusters", "unscored"}
    assert found["few_clusters"] is True


# --- votes, verdicts, measures


def test_the_vote_is_kept_and_calibrated(tmp_path: Path) -> None:
    said = ["yes", "no", "Yes.", "nothing in tags"]
    run(Scripted(lambda prompt, i: said[i] if i == 3 else thinking(said[i])), tmp_path, samples=4)
    assert [record.votes for record in read_records(tmp_path)] == [2] * 12
    [each] = json.loads((tmp_path / "summary.json").read_text())["calibration"]["bins"]
    assert (each["low"], each["high"], each["share"], each["right"]["mean"]) == (0.4, 0.5, 0.5, 0.75)
    assert json.loads((tmp_path / "summary.json").read_text())["calibration"]["error"] == pytest.approx(0.25)


def test_one_completion_has_nothing_to_calibrate(tmp_path: Path) -> None:
    assert run(Scripted(always_yes), tmp_path).calibration is None


def verdicts(queries: Sequence[JudgeQuery]) -> list[Verdict]:
    values = {"correctness": 1.0, "explanation": None}
    return [Verdict(values[query.axis], query.axis, "hm", "m", "rubric-1") for query in queries]


judge = FunctionJudge("m", verdicts)


def test_verdicts_are_metrics_and_unscored_ones_are_counted(tmp_path: Path) -> None:
    summary = run(Scripted(always_yes), tmp_path, judge=judge, judge_about={"model": "m"}, baselines=SWAPPED)
    correctness, explanation = summary.metrics["judge_correctness"], summary.metrics["judge_explanation"]
    assert (correctness.mean, correctness.n, correctness.unscored) == (1.0, 12, 0)
    assert (explanation.mean, explanation.n, explanation.unscored) == (None, 0, 12)
    assert summary.protocols["judge_correctness"] == correctness
    assert summary.settings["judge"] == {"model": "m"}
    assert (summary.judge["judge"], summary.judge["unscored"]) == ("m", {"no reason given": 12})
    assert not (tmp_path / "swapped/judge.json").exists()  # of a control only the answers count


def test_answers_are_judged_later_without_asking_for_them_again(tmp_path: Path) -> None:
    run(Scripted(always_yes), tmp_path)
    engine = Scripted(always_yes, stop_after=0)
    assert run(engine, tmp_path, judge=judge).metrics["judge_correctness"].n == 12
    assert run(engine, tmp_path).metrics["judge_correctness"].n == 12  # and stay judged


def test_measures_are_kept_with_the_records(tmp_path: Path) -> None:
    def measure(golds: Sequence[str], answers: Sequence[str]) -> list[float]:
        return [len(answer) / 10 for answer in answers]

    silent = Scripted(lambda prompt, i: "no tags" if prompt.example.id == "q3" else thinking("yes"))
    summary = run(silent, tmp_path, measures={"rouge_l": measure})
    assert summary.protocols["rouge_l"].mean == pytest.approx(11 * 0.3 / 12)
    assert [record.likeness["rouge_l"] for record in read_records(tmp_path)][2:4] == [0.3, 0.0]
    assert run(Scripted(always_yes, stop_after=0), tmp_path).protocols["rouge_l"].n == 12


def test_a_summary_is_read_back_as_it_was(tmp_path: Path) -> None:
    summary = run(Scripted(always_yes), tmp_path, samples=2, judge=judge, baselines=SWAPPED)
    assert Summary.from_json(json.loads((tmp_path / "summary.json").read_text())) == summary


def test_a_sample_of_a_split_is_no_evaluation_of_its_first_questions(tmp_path: Path) -> None:
    first = Dataset("ward", "test", DATA.examples[:4])
    run(Scripted(always_yes), tmp_path, first)
    drawn = Dataset("ward", "test", DATA.examples[4:8], drawn_from=12)
    with pytest.raises(RunFolderError, match=r"an evaluation with drawn_from = None, not 12; choose another folder"):
        run(Scripted(always_yes), tmp_path, drawn)
    summary = run(Scripted(always_yes), tmp_path / "other", drawn)
    assert (summary.settings["drawn_from"], summary.settings["questions"]) == (12, 4)


def halves(queries: Sequence[JudgeQuery]) -> list[Verdict]:
    return [Verdict(0.5, query.axis, "so so", "judge", "r-1") for query in queries]


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Each record as another version might have left it."""
    rows = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    for row in rows:
        change(row)
    (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_other_rules_graded_is_graded_anew_and_answers_and_verdicts_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge = FunctionJudge("judge", halves)
    whole = run(Scripted(always_yes), tmp_path, judge=judge, judge_about={"kind": "m"})
    before = (tmp_path / "records.jsonl").read_bytes()
    assert "graded anew" not in caplog.text
    edit(tmp_path, lambda row: row["grade"].update(correct=not row["grade"]["correct"]) or row["parts"].clear())
    (tmp_path / "verdicts.jsonl").write_text("")
    silent = FunctionJudge("judge", lambda queries: pytest.fail("asked again"))
    again = run(Scripted(always_yes, stop_after=0), tmp_path, judge=silent, judge_about={"kind": "m"})
    assert "12 of 12 records were read by other rules" in caplog.text
    assert again.metrics == whole.metrics
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_a_verdict_on_what_other_rules_took_for_the_answer_is_dropped(tmp_path: Path) -> None:
    asked: list[str] = []

    def judge(queries: Sequence[JudgeQuery]) -> list[Verdict]:
        asked.extend(query.id for query in queries)
        return halves(queries)

    settings = {"judge": FunctionJudge("judge", judge), "judge_about": {"kind": "m"}}
    run(Scripted(always_yes), tmp_path, **settings)
    before = (tmp_path / "records.jsonl").read_bytes()
    edit(tmp_path, lambda row: row.update(answer="maybe" if row["id"] == "q3" else row["answer"]))
    asked.clear()
    run(Scripted(always_yes, stop_after=0), tmp_path, **settings)
    assert set(asked) == {"q3"}
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_what_it_was_made_with_is_kept_as_it_was_at_the_beginning(tmp_path: Path) -> None:
    run(Scripted(always_yes), tmp_path / "eval", environment={"time": "first"}, baselines=SWAPPED)
    run(Scripted(always_yes), tmp_path / "eval", environment={"time": "second"}, baselines=SWAPPED)
    assert json.loads((tmp_path / "eval/environment.json").read_text()) == {"time": "first"}
    assert not (tmp_path / "eval/swapped/environment.json").exists()
    run(Scripted(always_yes), tmp_path / "old")  # of an earlier version: a later call does not know
    run(Scripted(always_yes), tmp_path / "old", environment={"time": "second"})
    assert not (tmp_path / "old/environment.json").exists()


def test_what_it_was_made_with_is_there_before_an_answer_and_in_no_other_folder(tmp_path: Path) -> None:
    def stop(prompt: Prompt, sample: int) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Scripted(stop), tmp_path / "eval", environment={"time": "first"})
    assert (tmp_path / "eval/environment.json").is_file()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("words")
    with pytest.raises(RunFolderError, match="is no evaluation"):
        run(Scripted(always_yes), tmp_path / "mine", environment={"time": "first"})
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
