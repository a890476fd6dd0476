"""The table of human labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.errors import DataError
from rarl.judges.labels import read_labels
from rarl.types import Fact, JudgeQuery

HEAD = "id,axis,question,gold,answer,reasoning,human"
ROW = "1,correctness,Is it?,yes,no,because,0"


def table(folder, *lines, encoding="utf-8"):
    path = folder / "labels.csv"
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def test_a_row_with_everything(tmp_path):
    path = table(
        tmp_path,
        "note,pair,modality,rationale,facts,options,human,reasoning,answer,gold,question,axis,id",
        'x,p1,CT,A cavity.,side: left | size:,left | right,3,"It, is\nleft.",left,left,Where?,explanation,7',
        encoding="utf-8-sig",
    )
    [label] = read_labels(path)
    facts = (Fact("side", "left"), Fact("size", None))
    assert label.query == JudgeQuery(
        "explanation", "7", "Where?", "It, is\nleft.", "left", "left", ("left", "right"), "CT", "A cavity.", facts
    )
    assert (label.human, label.pair, label.judged) == (3, "p1", "It, is\nleft.")


def test_the_least_that_is_needed(tmp_path):
    correctness, explanation = read_labels(table(tmp_path, HEAD, ROW, "1,explanation,Is it?,,no,because,2"))
    assert (correctness.judged, correctness.human, correctness.pair) == ("no", 0, "")
    assert (explanation.judged, explanation.query.gold) == ("because", None)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_may_be_separated_in_three_ways(tmp_path, separator, encoding):
    row = separator.join(["7", "correctness", *(f'"{cell}"' for cell in ("a, b; c\td", "left", "l;", "x,\ny"))])
    [label] = read_labels(table(tmp_path, HEAD.replace(",", separator), f"{row}{separator}3", encoding=encoding))
    assert (label.query.question, label.query.answer, label.query.reasoning) == ("a, b; c\td", "l;", "x,\ny")
    assert (label.query.id, label.query.gold, label.human) == ("7", "left", 3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,axis", ROW], "lacks the column 'question'; needed are id, axis, question, gold"),
        ([""], "lacks the column 'id'"),
        ([HEAD], "has no rows"),
        ([HEAD, ROW, ROW.replace("correctness", "style")], "line 3: axis is 'style'; it must be one of correctness"),
        ([HEAD, ROW.removesuffix("0") + "4"], "line 2: human is '4'; it must be one of 0, 1, 2, 3"),
        ([HEAD, ROW.removesuffix("0") + "2.5"], "human is '2.5'"),
        ([HEAD, ROW.removesuffix("0")], "human is ''"),
        ([HEAD, "1,correctness"], "human is ''"),
        ([HEAD, ROW.replace("yes", "")], "line 2: gold is empty; correctness can't be judged without it"),
        ([HEAD, ROW.replace("Is it?", " ")], "question is empty"),
        (
            [HEAD, ROW, ROW.replace("1,", "2,"), ROW.replace("no", "maybe")],
            "lines 2 and 4: both are the correctness of id '1'; remove one, or give each answer an id of its own",
        ),
        ([HEAD.replace(",", ";").replace("gold;", "")], "lacks the column 'gold'"),
        ([HEAD + ",facts", ROW + ",left"], "the fact 'left' must look like name: value"),
    ],
)
def test_a_bad_table_is_named(tmp_path, lines, message):
    with pytest.raises(DataError, match=message) as caught:
        read_labels(table(tmp_path, *lines))
    assert "\n" not in str(caught.value)


def test_what_is_no_table(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_labels(tmp_path / "none.csv")
    with pytest.raises(DataError, match="can't be read as CSV in UTF-8"):
        read_labels(tmp_path)
    with pytest.raises(DataError, match="can't be read as CSV in UTF-8"):
        read_labels(table(tmp_path, HEAD, ROW.replace("because", "weil größer"), encoding="latin-1"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=9))
def test_any_row_is_a_label_or_one_line_of_error(tmp_path_factory, cells):
    path = table(tmp_path_factory.getbasetemp(), HEAD, ",".join(cells))
    try:
        read_labels(path)
    except DataError as error:
        message = str(error)
        assert message.isprintable() or "\n" not in message
