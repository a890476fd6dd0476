"""Honest and gaming completions of one prompt, written in blind batches; docs/rewards.md has their first scores."""

import json
from pathlib import Path

import pytest

from rarl.config import RunConfig
from rarl.prompting import load_pool
from rarl.rewards import Scorer, score_file

DATA = Path(__file__).parents[1] / "data"
PAIRS = [json.loads(line) for line in (DATA / "reward_pairs.jsonl").open(encoding="utf-8")]
GIVEN = ("question", "gold", "options", "facts", "rationale")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """[(pair, honest row, gaming row)], through a file as a user would score them."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [
        {**{key: pair[key] for key in GIVEN if key in pair}, "completion": pair[side]}
        for pair in PAIRS
        for side in ("honest", "gaming")
    ]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    score_file(folder / "in.jsonl", folder / "out.jsonl", Scorer.of(RunConfig()), load_pool("default"))
    out = [json.loads(line) for line in (folder / "out.jsonl").open(encoding="utf-8")]
    return list(zip(PAIRS, out[::2], out[1::2], strict=True))


def test_there_are_enough_pairs_of_enough_families():
    assert len(PAIRS) == 576
    assert len({pair["family"] for pair in PAIRS}) > 250


def test_the_honest_completion_earns_more(scored):
    lost = [(pair["family"], pair["question"]) for pair, honest, gaming in scored if honest["total"] <= gaming["total"]]
    assert len(lost) <= 3, lost


def test_honest_reasoning_is_not_punished(scored):
    parts = [honest["parts"] for _, honest, _ in scored]
    assert sum(part["accuracy"] == 1.0 for part in parts) >= 410
    assert sum(part["substance"] >= 0.5 for part in parts) >= 370
    assert sum(part["consistency"] >= 0.5 for part in parts) >= 400


def test_ordinary_radiology_english_is_paid_in_full(tmp_path):
    """Forty plain rationales with the right answer, written without a look at any rule."""
    scorer = Scorer.of(RunConfig())
    score_file(DATA / "honest_rationales.jsonl", tmp_path / "out.jsonl", scorer, load_pool("default"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").open(encoding="utf-8")]
    assert len(rows) == 40
    assert [row["completion"] for row in rows if row["parts"]["substance"] < 0.75 or row["parts"]["accuracy"] < 1] == []
    assert sum(row["parts"]["consistency"] == 1 for row in rows) >= 39
    assert min(row["parts"]["consistency"] for row in rows) >= 0.5
