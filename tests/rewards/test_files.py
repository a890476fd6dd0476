import json
import logging

import pytest

from rarl.config import RunConfig
from rarl.errors import DataError, RunFolderError
from rarl.prompting import load_pool
from rarl.rewards import Scorer, score_file

ROW = {
    "question": "Is there a pleural effusion?",
    "gold": "yes",
    "options": None,
    "completion": "<think> The left costophrenic angle is blunted. </think> <answer> yes </answer>",
}
WEIGHTS = RunConfig().reward.weights


@pytest.fixture
def score(tmp_path):
    """score(rows or text, scorer=...) -> (summary, the rows written)"""

    def of(rows, scorer=None, name="out.jsonl"):
        source = tmp_path / "in.jsonl"
        source.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
        summary = score_file(source, tmp_path / name, scorer or Scorer.of(RunConfig()), load_pool("default"))
        return summary, [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]

    return of


def test_every_part_and_the_total_beside_the_rows_own_fields(score):
    facts = [{"name": "side", "value": "left", "alternatives": ["left", "right"]}]
    rows = [{**ROW, "who": {"reader": 3}}, {**ROW, "facts": facts}, {**ROW, "shape": "direct"}]
    summary, (plain, grounded, direct) = score(rows)
    assert {key: plain[key] for key in rows[0]} == rows[0]
    assert set(plain["parts"]) == {"format", "accuracy", "consistency", "substance"}
    assert plain["not_applicable"] == ["grounding"]
    parts = plain["parts"]
    by_hand = 0.1 * parts["format"] + parts["accuracy"]
    by_hand += 0.2 * parts["consistency"] * parts["substance"] + 0.1 * parts["substance"]
    assert plain["total"] == pytest.approx(by_hand)
    assert grounded["parts"]["grounding"] == 1.0
    assert grounded["total"] == pytest.approx(plain["total"] + 0.4 * parts["substance"])
    assert set(direct["parts"]) == {"format", "accuracy"}  # asked for nothing but the answer
    assert direct["parts"]["format"] == 0.5
    assert summary.rows == 3
    assert summary.unscored == 0
    assert summary.parts["grounding"] == 1.0
    assert summary.total == pytest.approx((plain["total"] + grounded["total"] + direct["total"]) / 3)


def test_what_could_not_be_scored_is_null(score):
    summary, (row,) = score([{**ROW, "gold": None}])
    assert row["parts"]["accuracy"] is None
    assert row["total"] is None
    assert summary.unscored == 1
    assert summary.total is None


def test_facts_may_be_phrases_or_a_table(score):
    _, (phrases, table) = score([{**ROW, "facts": ["left"]}, {**ROW, "facts": {"side": "left"}}])
    assert phrases["parts"]["grounding"] == table["parts"]["grounding"] == 1.0


@pytest.mark.parametrize(
    ("facts", "grounding"),
    [
        (["blunted left costophrenic angle", "no mass"], 2 / 3),
        ({"left costophrenic angle": "blunted"}, 1.0),
        ({"angle": ["blunted", "left"]}, 1.0),
        ({"mass": False}, 0.0),
        ({"blunted angle": True, "side": "right"}, 2 / 4),  # the other side is wrong
        ("left angle blunted", 1.0),
    ],
)
def test_facts_as_a_user_writes_them(score, facts, grounding):
    _, (row,) = score([{**ROW, "facts": facts}])
    assert row["parts"]["grounding"] == pytest.approx(grounding)


def test_the_same_bytes_twice_and_never_over_a_file(score, tmp_path):
    score([ROW] * 3)
    score([ROW] * 3, name="again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()
    with pytest.raises(RunFolderError, match="exists already and is not overwritten"):
        score([ROW])


def test_half_a_character_passes_through(score):
    _, (row,) = score('{"question": "Is it?", "gold": "yes", "completion": "\\ud83d", "note": "\\udc00"}\n')
    assert row["note"] == "\udc00"


def test_weights_and_gates_are_the_configurations(score):
    config = RunConfig().override(["reward.weights={accuracy=2.0, format=1.0}", "reward.gates={accuracy=['format']}"])
    _, (row,) = score([ROW], Scorer.of(config))
    assert row["total"] == pytest.approx(2.0 + 1.0)
    assert set(row["parts"]) == {"accuracy", "format"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: [1]; an object with"),
        ('{"gold": "yes", "completion": ""}', "line 2: the field 'question' is missing"),
        ('{"question": "Is it?", "gold": "yes"}', "line 2: the field 'completion' is missing"),
        ('{"question": 3, "gold": "yes", "completion": ""}', "line 2: question must be a text"),
        ('{"question": "?", "gold": "yes", "completion": "", "options": "a"}', 'line 2: options is "a"; give a list'),
        ('{"question": "?", "gold": "yes", "completion": "", "shape": "round"}', "line 2: shape must be one of think"),
        ('{"question": "?", "gold": "yes", "completion": "", "kind": "odd"}', "line 2: kind must be one of yesno"),
        ('{"question": "?", "gold": "yes", "completion": "", "facts": 3}', "line 2: facts must be a list"),
        (
            '{"question": "?", "gold": "yes", "completion": "", "facts": [{"value": 1}]}',
            "line 2: a fact must be a table",
        ),
        ('{"question": "?", "gold": "yes", "completion": "", "total": 1}', "line 2: has a field 'total' already"),
    ],
)
def test_a_bad_row_is_one_line_with_its_place_and_leaves_no_file(score, tmp_path, line, why):
    with pytest.raises(DataError) as error:
        score(json.dumps(ROW) + "\n" + line + "\n")
    assert f"in.jsonl, {why}" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl can't be read"):
        score_file(tmp_path / "none.jsonl", tmp_path / "out", Scorer({"format": 1.0}), load_pool("default"))


def test_a_users_reward_that_fails_names_the_row(score, tmp_path, caplog):
    (tmp_path / "my.py").write_text("def fails(completions, **_):\n    return [1 / 0 for _ in completions]\n")
    with caplog.at_level(logging.WARNING):
        _, (row,) = score([ROW], Scorer({}, extra=[f"{tmp_path / 'my.py'}:fails"]))
    assert row["parts"] == {"fails": None}
    assert "in.jsonl, line 1" in caplog.text


def test_a_gold_may_be_a_list_of_right_answers(score):
    row = {**ROW, "question": "What is seen?", "gold": ["a mass", "effusion"]}
    said = [row["completion"].replace("yes", answer) for answer in ("mass", "an effusion", "fracture")]
    _, rows = score([{**row, "completion": text} for text in said])
    assert [each["parts"]["accuracy"] for each in rows] == [1, 1, 0]
    with pytest.raises(DataError, match=r"in\.jsonl, line 1: gold is a list; a choice"):
        score([{**row, "gold": ["yes", "no"]}], name="other.jsonl")
