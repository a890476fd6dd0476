from collections import Counter
from pathlib import Path

import pytest

from published_sets import picture
from rarl import cli
from rarl.data import load_dataset
from rarl.data.images import BytesImage
from rarl.data.overlap import fingerprint
from rarl.data.splitting import parsed_shares, split_apart, together
from rarl.draws import Draws
from rarl.errors import ConfigError, DataError
from rarl.types import Example, QuestionKind

DRAWS = Draws(0).at("split")
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def example(number: int, patient: str, shade: int, modality: str = "ct") -> Example:
    image = BytesImage(picture(shade), f"{number}.png")
    return Example(f"{number}", patient, (image,), "Is it?", "yes", kind=QuestionKind.YESNO, modality=modality)


def test_no_patient_and_no_image_is_in_two_splits() -> None:
    # Patients 0-1, 2-3, .. share an image; every patient has two of their own.
    made = [
        example(3 * patient + place, f"p{patient}", shade)
        for patient in range(60)
        for place, shade in enumerate((patient // 2, 60 + patient, 120 + patient))
    ]
    parts = split_apart(made, SHARES, DRAWS)
    assert {name: len(part) for name, part in parts.items()} == {"train": 126, "val": 18, "test": 36}
    splits_of = Counter(
        key
        for part in parts.values()
        for key in {each.cluster for each in part} | {fingerprint(each.images[0]) for each in part}
    )
    assert set(splits_of.values()) == {1}
    assert all([int(each.id) for each in part] == sorted(int(each.id) for each in part) for part in parts.values())


def test_the_draw_is_the_seeds_and_not_the_orders() -> None:
    made = [example(number, f"p{number}", number) for number in range(40)]
    ids = [{each.id for each in split_apart(order, SHARES, DRAWS)["test"]} for order in (made, made[::-1])]
    assert ids[0] == ids[1]
    assert ids[0] != {each.id for each in split_apart(made, SHARES, Draws(1).at("split"))["test"]}


def test_each_split_has_its_share_of_every_modality_and_the_rare_are_not_all_trained_on() -> None:
    made = [example(number, f"p{number}", number, "ct" if number < 60 else "mr") for number in range(100)]
    parts = split_apart(made, SHARES, DRAWS)
    assert {name: Counter(each.modality for each in part)["mr"] for name, part in parts.items()} == {
        "train": 28,
        "val": 4,
        "test": 8,
    }
    rare = [example(number, f"p{number}", number, f"kind {number}") for number in range(100)]
    assert {name: len(part) for name, part in split_apart(rare, SHARES, DRAWS).items()} == {
        "train": 70,
        "val": 10,
        "test": 20,
    }


def test_a_split_that_would_be_empty_is_an_error() -> None:
    with pytest.raises(DataError, match="split 'test' would be empty: there are but 1 group of examples"):
        split_apart([example(1, "p", 1), example(2, "p", 2)], {"train": 0.8, "test": 0.2}, DRAWS)


def test_shares_are_checked() -> None:
    assert parsed_shares(["a=0.5", "b=0.25", "c=0.25"]) == {"a": 0.5, "b": 0.25, "c": 0.25}
    for wrong, why in (
        (["a=0.5"], "must sum to 1, not 0.5"),
        (["a=1", "b=0"], "got 'b=0'"),
        (["a"], "got 'a'"),
        (["a=nan", "b=1"], "got 'a=nan'"),
        (["=1"], "got '=1'"),
        (["a=0.5", "a=0.5"], "names 'a' twice"),
    ):
        with pytest.raises(ConfigError, match=why):
            parsed_shares(wrong)


def test_ids_that_splits_share_are_told_apart() -> None:
    one, other = example(1, "p", 1), example(2, "q", 2)
    assert [each.id for each in together({"train": [one, other], "test": [one]})] == ["train-1", "2", "test-1"]


def test_the_command_writes_disjoint_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    share = ["--share", "fit=0.5", "--share", "look=0.5"]
    command = [
        "data",
        "split",
        "phantom",
        "--split",
        "validation",
        "--out",
        str(tmp_path / "to"),
        *share,
        "--to",
        "csv",
    ]
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("sys.argv", ["rarl", *command])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 0
    assert "look.csv" in capsys.readouterr().out
    tables = [load_dataset("table", root=str(tmp_path / "to" / f"{name}.csv")) for name in ("fit", "look")]
    whole = load_dataset("phantom", split="validation")
    assert sorted(each.id for table in tables for each in table) == sorted(each.id for each in whole)
    assert not {each.cluster for each in tables[0]} & {each.cluster for each in tables[1]}
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 2
    assert "exists already" in capsys.readouterr().err
