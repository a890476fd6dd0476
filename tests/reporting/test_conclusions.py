import shutil
from dataclasses import replace

import pytest

import fake_run
from rarl.evaluation import Comparison, compare
from rarl.evaluation.comparison import Line
from rarl.evaluation.significance import Paired
from rarl.files import read_json, write_json
from rarl.reporting.conclusions import WARNING, caveats, of_comparison, of_run, same_judge, tiles
from rarl.reporting.sources import read_sources
from rarl.types import Estimate, Verdict


def said(sentence):
    return "".join(each.text for each in sentence)


def run(path, *, before, after, count=20, **changes):
    """A run on `count` questions, of which those below `before` and `after` were answered right."""
    folder = fake_run.make(path, evaluated=False)
    for stage, right in (("before", before), ("", after)):
        records = [replace(fake_run.record(i, i < right), **changes) for i in range(count)]
        fake_run.evaluation(folder, stage, records)
    return folder


def sources(*folders):
    return read_sources([folder.path for folder in folders])


def warnings(found):
    return [each.text for each in caveats(found, None) if each.level == WARNING]


@pytest.mark.parametrize(
    ("before", "after", "start", "tone"),
    [
        (40, 70, "Accuracy on mine.py:load, test rose from 40.0 % to 70.0 %: +30.0 points [", "good"),
        (70, 40, "Accuracy on mine.py:load, test fell from 70.0 % to 40.0 %: -30.0 points [", "bad"),
        (
            50,
            51,
            "No significant change in accuracy on mine.py:load, test: 50.0 % before, 51.0 % after, +1.0 points [",
            "strong",
        ),
    ],
)
def test_the_sentence_says_what_happened(tmp_path, before, after, start, tone):
    [source] = sources(run(tmp_path / "run", before=before, after=after, count=100))
    sentence = of_run(source.results[0])
    assert said(sentence).startswith(start)
    assert said(sentence).endswith("], n = 100.")
    assert next(each.tone for each in sentence if each.text.endswith(" points")) == tone


def test_without_a_before_there_is_no_change_to_tell(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    fake_run.evaluation(folder, "", [fake_run.record(i, i < 30) for i in range(40)])
    [source] = sources(folder)
    assert said(of_run(source.results[0])).startswith("Accuracy on mine.py:load, test is 75.0 % [")
    [found] = tiles([source]).values()
    assert found[0].value == "75.0 %"


def test_runs_are_told_against_the_first(tmp_path):
    folders = [run(tmp_path / f"run{i}", before=10, after=after, count=100) for i, after in enumerate((40, 80, 41))]
    better, same = of_comparison(compare([folder.path for folder in folders]))
    assert said(better).startswith(
        "run1 is more often right than run0 on mine.py:load, test: 80.0 % against 40.0 %, +40.0 points ["
    )
    assert said(better).endswith("], n = 100, p < 0.001 (Holm).")
    assert said(same).startswith(
        "No significant difference between run2 and run0 on mine.py:load, test: 41.0 % against 40.0 %"
    )


def test_few_clusters_are_a_warning(tmp_path):
    found = warnings(sources(run(tmp_path / "few", before=10, after=19, count=29)))
    assert "Only 29 clusters (patients or images) in mine.py:load, test: its intervals are unreliable." in found
    assert not [
        text for text in warnings(sources(run(tmp_path / "many", before=10, after=29, count=30))) if "clusters" in text
    ]


def test_a_change_that_is_none_tells_what_could_have_been_found(tmp_path):
    found = warnings(sources(run(tmp_path / "run", before=50, after=51, count=100)))
    # 1 of 100 differs by 1: SE = sqrt(100 / 99 x (0.99^2 + 99 x 0.01^2)) / 100 = 0.01, times 2.80 is 2.8 points.
    assert any("A true change of 2.8 points would have been found four times in five" in text for text in found)


def test_an_accuracy_that_a_constant_answer_reaches_is_a_warning(tmp_path):
    # In the fake run the commonest answer is right on 8 of the questions.
    low, high = (
        warnings(sources(run(tmp_path / name, before=0, after=right, count=40)))
        for name, right in (("a", 9), ("b", 39))
    )
    assert any("always giving the commonest answer is right on 20.0 %" in text for text in low)
    assert not any("commonest" in text for text in high)


def test_an_image_that_is_not_used_is_a_warning(tmp_path):
    # With other images 9 answers are right, as many as with their own.
    found = warnings(sources(run(tmp_path / "run", before=0, after=9, count=40)))
    assert any("the image is worth +0.0" in text and "it is not shown that the model uses it" in text for text in found)


def test_what_could_not_be_scored_is_told_with_its_number(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    lost = Verdict(None, "explanation", "no reply", "m", "explanation-1 sha256:0", "outage")
    records = [replace(fake_run.record(i, True), verdicts={"explanation": lost} if i < 3 else {}) for i in range(40)]
    fake_run.evaluation(folder, "", records)
    assert (
        "3 of 3 in judge explanation could not be scored on mine.py:load, test: left out, never counted as 0."
        in warnings(sources(folder))
    )


def judged(path, kind, *, seen=False, trained="openai"):
    verdict = Verdict(1.0, "explanation", "fine", "org/Judge" if kind == "openai" else kind, "explanation-1 sha256:0")
    folder = run(path, before=5, after=35, count=40, verdicts={"explanation": verdict})
    [place] = folder.path.glob("eval/mine*")
    write_json(place / "judge.json", {"kind": kind, "base_url": "", "model": "org/Judge", "send_images": seen})
    config = folder.config.override([f"judge.kind={trained}", "judge.model=Judge"])
    (folder.path / "config.toml").write_text(config.to_toml())
    return sources(folder)


def test_the_same_judge_in_training_and_evaluation_is_a_warning(tmp_path):
    assert "Evaluate with another judge" in same_judge(judged(tmp_path / "same", "openai")[0])
    assert any("Evaluate with another judge" in text for text in warnings(judged(tmp_path / "again", "openai")))
    assert same_judge(judged(tmp_path / "rules", "openai", trained="rules")[0]) is None
    assert same_judge(judged(tmp_path / "graded", "rules")[0]) is None


def test_what_the_evaluation_says_of_its_judge_goes_before_what_settings_say(tmp_path):
    [source] = judged(tmp_path / "run", "openai")
    for warning in (None, "The same judge!"):
        after = replace(source.results[0].after, judge={**source.results[0].judge, "warning": warning})
        assert same_judge(replace(source, results=[replace(source.results[0], after=after)])) == warning


def test_whether_the_judge_saw_the_image(tmp_path):
    blind, seeing = (caveats(judged(tmp_path / str(seen), "openai", seen=seen), None) for seen in (False, True))
    assert any(
        "The judge did not see the images: its scores of explanations measure how plausible" in each.text
        for each in blind
    )
    assert any(each.text == "The judge saw the images." for each in seeing)


def test_rules_are_not_called_a_language_model(tmp_path):
    found = [each.text for each in caveats(sources(run(tmp_path / "run", before=1, after=39, count=40)), None)]
    assert "Answers were graded by rules, not by a language model; no judge read the explanations." in found
    assert (
        "One training run, seed 0: intervals are about other questions of this kind, not about other seeds or models."
        in found
    )


def test_of_several_sets_each_has_its_numbers_and_its_sentence(tmp_path):
    folder = run(tmp_path / "run", before=10, after=30, count=40)
    for stage, right in (("before", 10), ("", 20)):
        fake_run.evaluation(folder, stage, [fake_run.record(i, i < right) for i in range(40)], split="unseen")
    found = tiles(sources(folder))
    assert {title: each[0].value for title, each in found.items()} == {
        "mine.py:load, test": "75.0 %",
        "mine.py:load, unseen": "50.0 %",
    }
    other = run(tmp_path / "other", before=10, after=30, count=40)
    fake_run.evaluation(other, "", [fake_run.record(i, i < 20) for i in range(40)], split="unseen")
    assert tiles(sources(folder, other)) == {}
    first, second = map(said, of_comparison(compare([folder.path, other.path])))
    assert first.startswith("No significant difference between other and run on mine.py:load, test: 75.0 % against")
    assert second.startswith("No significant difference between other and run on mine.py:load, unseen: 50.0 % against")


def test_where_nothing_changed_at_all_the_interval_is_explained(tmp_path):
    found = warnings(sources(run(tmp_path / "run", before=25, after=25, count=50)))
    assert (
        "Accuracy is as before in every cluster of mine.py:load, test: as nothing varies, the interval says for how "
        "many others it could be otherwise." in found
    )


def test_what_rounds_to_nothing_has_no_minus(tmp_path):
    none = Estimate(-0.0004, -0.03, -0.0001, 40, 40)
    line = Line("ward, test", "accuracy", "b", none, Paired(none, 1.0, None), 1.0)
    first = replace(line, run="a", paired=None)
    [sentence] = of_comparison(Comparison(("a", "b"), (first, line), {}, ()))
    assert "-0.0" not in said(sentence)
    assert "+0.0 points [-3.0, 0.0]" in said(sentence)


def test_what_is_to_be_known_of_one_set_names_it(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    [place] = folder.path.glob("eval/mine*")
    shutil.copytree(place, place.with_name("phantom-test"))
    path = place.with_name("phantom-test") / "summary.json"
    found = read_json(path)
    write_json(path, {**found, "settings": {**found["settings"], "data": "phantom"}})
    [note] = [each.text for each in caveats(sources(folder), None) if "phantom" in each.text and "drawn" in each.text]
    assert note == (
        "The images of phantom, test are drawn phantoms, not patients: nothing about them says how it does on real "
        "ones."
    )
