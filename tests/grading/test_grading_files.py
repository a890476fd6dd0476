import json

import pytest

from rarl.errors import DataError
from rarl.grading.files import grade_file, grade_row

ROWS = [
    {"question": "Is there a mass?", "gold": "Yes", "prediction": "There is a mass.", "options": None, "id": 7},
    {"question": "Where?", "gold": "right temporal lobe", "prediction": "temporal lobe", "options": []},
    {"question": "Which?", "gold": "B", "prediction": "(b) liver", "options": ["spleen", "liver"], "kind": "mcq"},
    {"question": "How many?", "gold": 2, "prediction": None},
]


def write(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_file_is_graded_row_by_row_with_every_field_kept(tmp_path):
    out = tmp_path / "new" / "out.jsonl"
    total = grade_file(write(tmp_path / "in.jsonl", ROWS), out)
    rows = read(out)
    assert [{key: row[key] for key in source} for source, row in zip(ROWS, rows, strict=True)] == ROWS
    assert [row["verdict"] for row in rows] == [True, False, True, False]
    assert [row["kind"] for row in rows] == ["yesno", "open", "mcq", "number"]
    assert rows[1]["score"] == pytest.approx(2 / 3)  # one of two words, none too many
    assert rows[1]["relaxed"] == pytest.approx(1 / 2)  # recall
    assert rows[1]["strict"] == 0
    assert rows[3]["rule"] == "empty"
    assert rows[2]["normalised_prediction"] == "b liver"
    assert (total.rows, total.correct) == (4, 2)
    assert total.score == pytest.approx(2 + 2 / 3)
    assert total.relaxed == pytest.approx(2.5)
    assert total.kinds["mcq"] == (1, 1)


def test_the_same_file_gives_the_same_bytes(tmp_path):
    source = write(tmp_path / "in.jsonl", ROWS)
    for name in ("one", "two"):
        grade_file(source, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_graded_file_can_be_graded_again(tmp_path):
    grade_file(write(tmp_path / "in.jsonl", ROWS), tmp_path / "one")
    grade_file(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_half_a_letter_does_not_end_the_file(tmp_path):
    row = '{"question": "Is there a mass?", "gold": "no", "prediction": "no \\ud800"}'
    grade_file(write(tmp_path / "in.jsonl", [row]), tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl")[0]["prediction"] == "no \ud800"


GOOD = ROWS[0]
BAD = [
    ("{oops", "not JSON"),
    ("[1]", "not an object"),
    ({"gold": "a", "prediction": "a"}, "no question"),
    ({"question": "a", "prediction": "a"}, "no gold"),
    ({"question": "a", "gold": "a"}, "no prediction"),
    ({**GOOD, "gold": None}, "gold is null"),
    ({**GOOD, "gold": " "}, "gold is empty"),
    ({**GOOD, "gold": True}, "gold is true"),
    ({**GOOD, "prediction": ["a"]}, "prediction is"),
    ({**GOOD, "options": "a, b"}, "options is"),
    ({**GOOD, "options": [None]}, "options is"),
    ({**GOOD, "kind": "closed"}, "yesno, mcq, number, multi, open"),
]


@pytest.mark.parametrize(("row", "told"), BAD, ids=[told for _, told in BAD])
def test_a_bad_row_is_one_line_with_file_and_line_and_nothing_is_written(tmp_path, row, told):
    source = write(tmp_path / "in.jsonl", [GOOD, "", row])
    with pytest.raises(DataError) as caught:
        grade_file(source, tmp_path / "out.jsonl")
    assert f"{source}, line 3: " in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_files_that_cannot_be_used(tmp_path):
    source = write(tmp_path / "in.jsonl", ROWS)
    with pytest.raises(DataError, match="not overwritten"):
        grade_file(source, source)
    with pytest.raises(DataError, match=r"missing\.jsonl"):
        grade_file(tmp_path / "missing.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="no rows"):
        grade_file(write(tmp_path / "empty.jsonl", [""]), tmp_path / "out.jsonl")
    (tmp_path / "latin.jsonl").write_bytes('{"question": "é"}'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        grade_file(tmp_path / "latin.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    assert source.read_bytes() == write(tmp_path / "again.jsonl", ROWS).read_bytes()


def test_one_row():
    assert grade_row(GOOD) | GOOD == grade_row(GOOD)
    with pytest.raises(DataError, match="no gold"):
        grade_row({"question": "a", "prediction": "a"})


def test_options_by_letter():
    row = {"question": "Which?", "gold": "B", "prediction": "MRI", "options": {"B": "MRI", "A": "CT"}}
    assert grade_row(row)["verdict"] is True
    assert grade_row(row | {"prediction": "CT"})["verdict"] is False
    with pytest.raises(DataError, match="an object by letter"):
        grade_row(row | {"options": {"1": "MRI", "A": "CT"}})
