"""The pages of results are made from the files that were kept, and those are of the studies that ship."""

import shutil
from pathlib import Path

import pytest

from rarl.files import read_json, read_rows
from rarl.studies import load_study
from rarl.studies.results import load_results

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "results"
STUDY, FULL = KEPT / "study-embedded", KEPT / "study-embedded-full"


@pytest.fixture
def record_study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import record_study

    return record_study


def test_the_pages_are_made_from_the_files_that_were_kept(record_study):
    assert (ROOT / "docs" / "results.md").read_text() == record_study.page(STUDY, FULL)
    assert (ROOT / "docs" / "results-full.md").read_text() == record_study.page(FULL)


@pytest.mark.parametrize("kept", [STUDY, FULL], ids=lambda kept: kept.name)
def test_the_files_are_of_the_study_that_ships(kept):
    shipped = load_study(ROOT / "configs" / f"{kept.name}.toml")
    assert load_study(kept / "study.toml").digest() == shipped.digest()
    assert read_json(kept / "results.json")["digest"] == shipped.digest()


def test_the_full_study_says_of_the_arms_of_both_what_the_other_one_does():
    small, full = load_results(STUDY), load_results(FULL)
    for here, there in zip(small.claims, full.claims, strict=True):
        assert (here.claim, here.verdict) == (there.claim, there.verdict)
        assert [each.mean for each in here.effects] == pytest.approx([each.mean for each in there.effects])
    for arm, cells in small.table.items():
        for cell, found in cells.items():
            means = {metric: each.mean for metric, each in full.table[arm][cell].items()}
            assert {metric: each.mean for metric, each in found.items()} == pytest.approx(means)


def test_a_variant_is_compared_with_the_arm_that_it_is_like():
    full = load_results(FULL)
    assert {arm for arm, each in full.study.arms.items() if each.like} == set(full.variants)
    for arm, cells in full.variants.items():
        for cell, found in cells.items():
            mine, theirs = (full.roles[each][cell]["accuracy"] for each in (arm, full.study.arms[arm].like))
            assert found["accuracy"].mean == pytest.approx(mine.mean - theirs.mean)
            differences = [a - b for a, b in zip(mine.by_seed, theirs.by_seed, strict=True)]
            assert found["accuracy"].by_seed == pytest.approx(differences)
    assert set(full.stops) == {"sft-answers-early", "sft-rationales-early"}


def test_every_arm_has_the_learning_rate_that_the_search_found():
    study, found = load_study(STUDY / "study.toml"), read_json(FULL / "search.json")
    rates = {name: study.config(name, 0).train.lr for name, arm in study.arms.items() if arm.trained}
    assert rates == {arm: each["chosen"] for arm, each in found["arms"].items()}
    for each in found["arms"].values():
        assert each["means"][f"{each['chosen']:g}"] == max(each["means"].values())
    assert not set(found["seeds"]) & set(study.seeds), "found on seeds of its own"


def test_the_recorded_study_kept_its_bound():
    """8 paired seeds, at most 90 minutes on 2 cores."""
    assert len(load_results(STUDY).study.seeds) == 8
    assert read_json(STUDY / "environment.json")["cpus"] == 2
    assert sum(row["seconds"] for row in read_rows(STUDY / "sessions.jsonl")) <= 90 * 60


def test_a_study_is_kept_without_its_records(record_study, tmp_path):
    for name in ("study-embedded", "study-embedded-full"):
        shutil.copytree(KEPT / name, tmp_path / "runs" / name)
    (tmp_path / "runs" / "study-embedded" / "arms").mkdir()
    record_study.main(
        [
            str(tmp_path / "runs" / "study-embedded"),
            *("--search", str(tmp_path / "runs" / "study-embedded-full")),
            *("--kept", str(tmp_path / "kept")),
            *("--page", str(tmp_path / "results.md")),
        ]
    )
    assert (tmp_path / "results.md").read_text() == (ROOT / "docs" / "results.md").read_text()
    kept = {path.name for path in (tmp_path / "kept" / "study-embedded").iterdir()}
    assert kept == {"study.toml", "results.json", "sessions.jsonl", "environment.json"}
