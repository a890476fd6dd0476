"""benchmarks/vs_trl.py: it runs, both sides do the same work, and its counters are what the arithmetic says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PHASES = {"step", "sampling", "reference", "forward", "backward", "optimizer", "train", "other", "vision"}
V, G, C = 9, 2, 4


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    pytest.importorskip("trl", reason="trl is not installed")
    out = tmp_path_factory.mktemp("versus") / "result.json"
    command = [sys.executable, BENCHMARKS / "vs_trl.py", "--model", "tiny", "--shape", f"{V},{G},{C}", "--out", out]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())


def test_a_row_has_what_is_promised(result):
    [row] = result["rows"]
    assert row["shape"] == f"{V},{G},{C}"
    ours, theirs = row["rarl"], row["trl"]
    assert row["ratio_step"] == pytest.approx(theirs["cpu_seconds"]["step"] / ours["cpu_seconds"]["step"], rel=0.01)
    assert row["ratio_train"] == pytest.approx(theirs["cpu_seconds"]["train"] / ours["cpu_seconds"]["train"], rel=0.01)
    memory = [side["peak_over_baseline_bytes"] for side in (ours, theirs)]
    assert row["ratio_memory"] == pytest.approx(memory[0] / memory[1], rel=0.01)
    for side in (ours, theirs):
        for clock in ("cpu_seconds", "wall_seconds"):
            assert side[clock].keys() == PHASES
            assert all(side[clock][phase] > 0 for phase in PHASES - {"other", "vision"})
        assert 0 < side["peak_over_baseline_bytes"] < 1 << 30
        assert side["threads"] == 1
    assert ours["cold"]["ratio_step"] <= row["ratio_step"]
    assert {"torch", "transformers", "trl", "rarl"} <= result["environment"]["packages"].keys()


def test_both_sides_answer_the_same_prompt_at_the_same_length(result):
    [row] = result["rows"]
    assert row["trl"]["prompt_tokens"] == row["rarl"]["prompt_tokens"]
    assert row["trl"]["prompt_tokens"][0] > V
    assert row["trl"]["completion_tokens"] == row["rarl"]["completion_tokens"] == [C] * G


def test_tokens_and_images_are_counted(result):
    """Sampling, reference and training: 3 passes. The last token of a completion needs no forward of its own."""
    [row] = result["rows"]
    [P] = row["rarl"]["prompt_tokens"]
    assert row["rarl"]["lm_tokens"] == 3 * (P + G * C - G)
    assert row["trl"]["lm_tokens"] == G * (P + C - 1) + 2 * G * (P + C)
    assert row["rarl"]["image_encodes"] == 0
    assert row["rarl"]["cold"]["image_encodes"] == 1
    assert row["trl"]["image_encodes"] == 3 * G


@pytest.mark.parametrize(("tokens", "rows_columns"), [(256, (16, 16)), (576, (24, 24)), (200, (10, 20)), (7, (1, 7))])
def test_an_image_of_so_many_tokens(tokens, rows_columns):
    from versus.case import grid, prompt

    assert grid(tokens) == rows_columns
    [source] = prompt(0, *rows_columns).example.images
    assert source.read().size == (28 * rows_columns[1], 28 * rows_columns[0])


def test_ragged_lengths_are_the_same_for_everyone():
    from versus.case import Case

    case = Case(256, 8, 128, groups=4, ragged=True)
    assert Case.from_json(case.to_json()).lengths == case.lengths
    assert len(case.lengths) == 4 * 8
    assert 16 <= min(case.lengths) < 40
    assert 104 < max(case.lengths) <= 128


@pytest.mark.parametrize("length", [1, 16, 90])
def test_a_ragged_completion_is_ended_by_its_seed(length):
    """Drawn from 800 equally likely tokens, the first of those that end it comes as the last of its length."""
    import torch
    from versus.rarl_side import END_TOKENS, _seed

    from rarl.engines.sampling import draw, uniforms
    from rarl.types import Sampling

    uniform_T = uniforms([_seed(length, 3)], 128)[0]
    tokens_T, _ = draw(torch.zeros(128, 800), Sampling(), uniform_T)
    assert int((tokens_T < END_TOKENS).int().argmax()) == length - 1


def test_sides_that_did_other_work_are_not_compared():
    from versus.case import Case
    from vs_trl import row

    sides = [{"prompt_tokens": [10], "completion_tokens": [4, length]} for length in (4, 5)]
    with pytest.raises(SystemExit, match="completion_tokens"):
        row(Case(9, 2, 4), *sides)
