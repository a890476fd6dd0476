import tomllib
from importlib.resources import files

import pytest

from rarl.config import Control
from rarl.evaluation.protocols import ALL
from rarl.evaluation.summary import BASELINES
from rarl.reporting.words import named, words
from rarl.types import QuestionKind, Shape

CONTROLS = {control.value for control in Control} - {"none"}
KNOWN = {  # every name that a table may speak of
    "kind": set(QuestionKind),
    "metric": set(ALL),
    "baseline": {"majority_answer", *BASELINES.values(), *CONTROLS},
    "against": CONTROLS,
    "asked": CONTROLS,
    "shown": CONTROLS,
    "shape": set(Shape),
    "told": set(Shape),
}


def test_the_table_speaks_of_names_that_there_are():
    tables = tomllib.loads((files("rarl.reporting") / "words.toml").read_text())
    assert tables.keys() == KNOWN.keys()
    for of, table in tables.items():
        assert table.keys() <= KNOWN[of]
    for of in ("baseline", "against", "asked", "shown", "shape", "told"):
        assert tables[of].keys() == KNOWN[of]


@pytest.mark.parametrize(
    ("of", "name", "said"),
    [
        ("kind", "mcq", "multiple choice"),
        ("kind", QuestionKind.YESNO, "yes/no"),
        ("kind", "open", "open"),
        ("metric", "judge_correctness", "judge correctness"),
        ("metric", "my_part", "my part"),
    ],
)
def test_names_in_words(of, name, said):
    assert words(of, name) == said


def test_values_of_the_data_are_its_own_words():
    assert (named("kind", "mcq"), named("task", "mcq"), named("modality", "CT_head")) == (
        "multiple choice",
        "mcq",
        "CT_head",
    )
