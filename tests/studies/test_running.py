import json
import shutil
import sys

import pytest

from rarl.cli import main
from rarl.errors import RarlError, RunFolderError
from rarl.evaluation import read_records
from rarl.locking import alone
from rarl.studies import load_study, run_study
from rarl.studies.results import load_results, read_study
from rarl.studies.running import absent_sets, skipped_arms
from rarl.studies.tables import fixed, study_page
from small_study import TOML, write


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study run to its end, by a call in this process."""
    folder = tmp_path_factory.mktemp("study")
    return run_study(write(folder), out=folder / "out", workers=2)


def test_every_arm_seed_and_cell_is_there(done):
    assert set(done.table) == {"base", "rl", "sft"}
    for arm in done.table:
        for seed in (3, 4):
            for cell in done.study.cells:
                assert len(read_records(done.folder / "arms" / arm / f"seed-{seed}" / cell.folder)) == 6
    assert done.costs["base"] == {}
    assert all(
        value > 0 for costs in (done.costs["rl"], done.costs["sft"]) for each in costs.values() for value in each
    )


def test_cells_and_claims_are_those_of_the_records(done):
    """Worked out again from the records alone."""
    means = {}
    for arm in ("rl", "sft"):
        for seed in (3, 4):
            records = read_records(done.folder / "arms" / arm / f"seed-{seed}" / "away-think")
            means[arm, seed] = sum(record.grade.correct for record in records) / 6
    [effect] = done.claims[0].effects
    assert effect.by_seed == pytest.approx([means["rl", seed] - means["sft", seed] for seed in (3, 4)])
    cell = next(found for cell, found in done.table["rl"].items() if cell.folder == "away-think")
    assert cell["accuracy"].mean == pytest.approx((means["rl", 3] + means["rl", 4]) / 2)
    [saved] = done.claims[1].effects
    tokens = [done.costs[arm]["tokens"] for arm in ("rl", "sft")]
    assert saved.by_seed == pytest.approx([1 - mine / theirs for mine, theirs in zip(*tokens, strict=True)])
    assert done.claims[0].native, "SFT's own prompting is another"
    assert done.claims[0].beyond, "there is a set in domain"


def test_arms_of_a_seed_answer_the_same_questions_and_seeds_differ(done):
    def ids(arm, seed):
        return [record.id for record in read_records(done.folder / "arms" / arm / f"seed-{seed}" / "home-think")]

    assert ids("rl", 3) == ids("sft", 3) == ids("base", 3)
    assert not set(ids("rl", 3)) & set(ids("rl", 4))


def test_a_second_call_repeats_nothing(done, monkeypatch):
    stamps = {path: path.stat().st_mtime_ns for path in (done.folder / "arms").rglob("*") if path.is_file()}
    monkeypatch.setattr("rarl.studies.processes._start", None)
    again = run_study(done.folder.parent / "small.toml", out=done.folder)
    assert again.to_json() == done.to_json()
    assert stamps == {path: path.stat().st_mtime_ns for path in (done.folder / "arms").rglob("*") if path.is_file()}


def test_what_is_missing_is_made_again_to_the_same_bytes(done, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done.folder, out)
    gone = out / "arms" / "rl" / "seed-3"
    records = (gone / "away-think" / "records.jsonl").read_bytes()
    shutil.rmtree(gone)
    shutil.rmtree(out / "arms" / "sft" / "seed-4" / "home-direct")
    (out / "arms" / "sft" / "seed-3" / "home-think" / "records.jsonl").unlink()
    (out / "arms" / "rl" / "seed-4" / "resources.json").unlink()
    run_study(done.folder.parent / "small.toml", out=out, workers=1)
    assert (gone / "away-think" / "records.jsonl").read_bytes() == records
    kept, made = (json.loads((folder / "results.json").read_text()) for folder in (done.folder, out))
    for each in (kept, made):
        for costs in each["costs"].values():
            costs.pop("seconds", None), costs.pop("peak_memory", None)
    assert kept == made


def test_a_changed_file_is_refused(done):
    changed = write(done.folder.parent, TOML.replace("steps = 2", "steps = 3"), "changed.toml")
    with pytest.raises(RunFolderError, match="holds a study with other settings"):
        run_study(changed, out=done.folder)


def test_a_second_call_at_the_same_time_is_refused(done):
    with alone(done.folder), pytest.raises(RunFolderError, match="is being written by another process"):
        run_study(done.folder.parent / "small.toml", out=done.folder)


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="exists already"):
        run_study(write(tmp_path), out=tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RarlError, match=r"^cannot write .*/file/out: Not a directory; choose another --out$"):
        run_study(write(tmp_path), out=tmp_path / "file" / "out")


def test_an_arm_without_what_it_needs_is_skipped_by_name(tmp_path):
    loader = tmp_path / "mine.py"
    loader.write_text(
        "import rarl\nfrom rarl.data.phantom import load as phantom\nfrom dataclasses import replace\n"
        "def load(split, *, root='', seed=0):\n"
        "    for item in phantom(split, seed=seed, limit=8):\n        yield replace(item, rationale=None)\n"
    )
    text = TOML.replace("[common.data]\n", f'[common.data]\nname = "{loader}:load"\n')
    text = text.replace('title = "SFT"\n', 'title = "SFT"\nneeds = "rationale"\n')
    assert skipped_arms(load_study(write(tmp_path, text))) == {"sft": "8 of 8 training examples have no rationale"}


def test_an_optional_set_that_is_not_there_is_left_out_by_name(tmp_path):
    lacking = TOML.replace("[sets.away]\n", '[sets.away]\ndata = "vqa-rad"\nroot = "nowhere"\noptional = true\n')
    lacking = lacking.replace("unseen-wording", "disjoint-test")
    study = load_study(write(tmp_path, lacking))
    absent = absent_sets(study)
    assert list(absent) == ["away"]
    assert "nowhere" in absent["away"]
    rest = study.without(absent)
    assert list(rest.sets) == ["home"]
    assert rest.asked(rest.claims[0]) == ()
    assert fixed(rest.claims[0], rest).endswith("on away, in points. Not there: away.")
    assert [cell.folder for cell in rest.cells] == ["home-think", "home-direct"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('split = "unseen-wording"', 'split = "test"\ndata = "vqa-rad"\nroot = "nowhere"', "set away: .*nowhere"),
        ('sets = ["away"]\n', 'sets = ["away"]\ntasks = ["diagnoses"]\n', "claim 1: no question of away has the task"),
        (
            "[sets.away]\n",
            '[sets.away]\nwithout = { name = "slake", root = "gone" }\n',
            "set away: .*gone",
        ),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_written(tmp_path, old, new, told):
    with pytest.raises(RarlError, match=told):
        run_study(write(tmp_path, TOML.replace(old, new)), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_arm_that_fails_is_named_and_the_others_are_kept(tmp_path):
    text = TOML.replace('config.run.method = "sft"', 'config.run.method = "sft"\nconfig.model.base = "tiny-folder"')
    with pytest.raises(RarlError, match=r"arm sft, seed 3: .*tiny-folder.*run the study again"):
        run_study(write(tmp_path, text), out=tmp_path / "out", workers=1)
    assert (tmp_path / "out" / "arms" / "base" / "seed-3" / "home-think" / "summary.json").is_file()


def test_the_page_and_the_results_are_written(done):
    page = (done.folder / "results.md").read_text()
    assert "2 seeds, 6 questions a seed and set" in page
    assert "RL generalises better than SFT" in page
    assert "| rl - sft |" in page
    shown = (done.folder / "results.html").read_text()
    assert "Entropy" in shown, "the curves of arms by reinforcement"
    assert "Loss" in shown, "and of the others"
    assert json.loads((done.folder / "results.json").read_text())["digest"] == done.study.digest()


def test_what_was_written_reads_back_as_it_was(done):
    again = load_results(done.folder)
    assert again == done
    assert study_page(again) == (done.folder / "results.md").read_text()


def test_the_verb(done, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    file = str(done.folder.parent / "small.toml")
    monkeypatch.setattr(sys, "argv", ["rarl", "study", file, "--out", str(done.folder)])
    with pytest.raises(SystemExit) as caught:
        main()
    shown = capsys.readouterr().out
    assert not caught.value.code
    assert "rl - sft" in shown
    assert "results.md" in shown
    assert "Left out" not in shown


@pytest.mark.parametrize("harm", ["cut", "shorter", "empty", "twice"])
def test_records_that_were_damaged_since_are_no_result(done, tmp_path, harm):
    out = tmp_path / "out"
    shutil.copytree(done.folder, out)
    records = out / "arms" / "rl" / "seed-3" / "home-think" / "records.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    harmed = {"cut": [*lines[:-1], lines[-1][:20]], "shorter": lines[:-1], "empty": [], "twice": [*lines, lines[0]]}
    records.write_text("".join(harmed[harm]))
    with pytest.raises(RunFolderError, match=r"seed-3/home-think was damaged: .* remove it and run the study again"):
        run_study(done.folder.parent / "small.toml", out=out)


@pytest.mark.parametrize(
    ("name", "harm", "told"),
    [
        ("arms/rl/seed-3/resources.json", '{"seconds": "one"}', r"resources.json was damaged: seconds is no number"),
        ("arms/rl/seed-4/run/metrics.jsonl", '{"step": 1, "loss": 0.1}\n', "metrics.jsonl has other steps than"),
        ("arms/rl/seed-4/run/metrics.jsonl", None, "metrics.jsonl cannot be read: Is a directory"),
        ("sessions.jsonl", '{"jobs": 1}\n', "sessions.jsonl was damaged: seconds is no number"),
        ("environment.json", '{"packages": 3}', "environment.json was damaged; remove it"),
    ],
)
def test_what_else_was_damaged_is_one_line(done, tmp_path, name, harm, told):
    out = tmp_path / "out"
    shutil.copytree(done.folder, out)
    (out / name).unlink()
    (out / name).write_text(harm) if harm else (out / name).mkdir()
    with pytest.raises(RunFolderError, match=told) as caught:
        run_study(done.folder.parent / "small.toml", out=out)
    assert "\n" not in str(caught.value)


def test_a_figure_beside_a_claim_does_not_take_the_claim_with_it(done, tmp_path):
    """Without reasoning there is no reasoning quality: SFT's own prompting gives nothing to compare with."""
    text = TOML.replace(
        'says = "RL generalises better than SFT"\n', 'says = "RL reasons better"\nendpoint = "reasoning"\n'
    )
    out = tmp_path / "out"
    shutil.copytree(done.folder, out)
    first = read_study(load_study(write(tmp_path, text)), out).claims[0]
    assert first.verdict != "not tested"
    assert len(first.effects) == 1
    assert first.native == ()
