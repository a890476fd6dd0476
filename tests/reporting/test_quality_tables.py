from rich.console import Console

from rarl.data import Dataset
from rarl.data.quality import Contradiction, PairCheck, Quality, check_sets
from rarl.reporting import quality_tables
from rarl.types import Example


def shown(found: Quality) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for table in quality_tables(found):
            console.print(table)
    return capture.get()


def test_a_set_by_itself() -> None:
    examples = tuple(Example(str(n), "p", (), "Seen on 2019-03-14?", "[b]yes") for n in range(5))
    text = shown(check_sets([Dataset("mine", "train", examples, (("row 3", "it has no answer"),))]))
    assert "mine train: 5 examples, 0 images, 1 clusters" in text
    assert "[b]yes, 5 of 5 (100.0 %)" in text
    assert "row 3, it has no answer" in text
    assert "0, question, date; 1, question, date; 2, question, date; .." in text
    assert "modality" not in text, "a set that says none has no row for it"


def test_pairs_and_contradictions() -> None:
    pair = PairCheck("a test", "a train", 202, 203, 4, 446, 451, 7, 115, 1)
    contradiction = Contradiction(("1", "2"), ("a train", "a test"), ("yes", "no"))
    text = shown(Quality([], [pair], [contradiction] * 5))
    line = next(line for line in text.splitlines() if "a train" in line)
    assert line.split() == ["a", "test", "a", "train", "202", "of", "203", "4", "446", "of", "451", "7", "115"]
    assert text.count("yes") == 3, "the first are shown, the JSON file has all"
    assert "5 contradictions" in text
