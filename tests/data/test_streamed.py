"""Tables that are read while they are used give the examples that they give when they are read first."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rarl
from published_sets import picture, write_json, write_lines, write_pictures
from rarl import assembly
from rarl.data import Dataset, load_dataset
from rarl.data.writing import FORMS, write_sets
from rarl.errors import DataError, RarlError, RunFolderError
from rarl.files import read_rows
from rarl.types import Example

datasets = pytest.importorskip("datasets")

ROOT = Path(__file__).parents[2]


def rows(count: int = 12) -> list[dict[str, Any]]:
    return [
        {
            "id": f"case {number}",
            "image": f"{number // 3}.png",
            "question": f'What, "then",\nis {number}?',
            "answer": f"é {number}",
            "patient": f"p{number // 4}",
            "modality": "ct" if number % 2 else "mr",
            "part": ("Train", "test")[number % 2],
        }
        for number in range(count)
    ]


def write_csv(path: Path, table: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, table[0], delimiter="\t" if path.suffix == ".tsv" else ";")
        writer.writeheader()
        writer.writerows(table)


def write_sparse_lines(path: Path, table: list[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in table)
    path.write_text("\n" + "\n\n".join(lines), encoding="utf-8-sig")


def write_groups(path: Path, table: list[dict[str, Any]]) -> None:
    datasets.Dataset.from_list(table).to_parquet(path, batch_size=5)


def write_saved(path: Path, table: list[dict[str, Any]]) -> None:
    datasets.Dataset.from_list(table).save_to_disk(str(path))


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], None]] = {
    "t.csv": write_csv,
    "t.tsv": write_csv,
    "t.jsonl": write_lines,
    "sparse.jsonl": write_sparse_lines,
    "t.parquet": write_groups,
    "saved": write_saved,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pictures(tmp_path, [f"{number}.png" for number in range(4)])
    return tmp_path


def both(path: Path, split: str = "train", **options: Any) -> tuple[Dataset, Dataset]:
    read, streamed = (load_dataset("table", split=split, root=str(path), stream=s, **options) for s in (False, True))
    assert streamed.streamed
    assert not read.streamed
    return read, streamed


def agree(read: Dataset, streamed: Dataset) -> None:
    assert list(streamed) == list(read)
    assert [streamed[place] for place in reversed(range(len(read)))] == list(read)[::-1]
    assert streamed[1:-1] == read[1:-1]
    assert set(streamed.images()) == set(read.images())


@pytest.mark.parametrize("name", WRITERS)
def test_all_rows_and_those_of_a_split(name: str, root: Path) -> None:
    WRITERS[name](root / name, rows())
    images = {"images": ".."} if name == "saved" else {}
    agree(*both(root / name, **images))
    agree(*both(root / name, columns={"split": "part"}, **images))
    test = both(root / name, "test", columns={"split": "part"}, **images)
    agree(*test)
    assert len(test[0]) == 6


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_rows_without_ids_and_disjoint_splits(name: str, root: Path) -> None:
    WRITERS[name](root / name, [{key: row[key] for key in row if key != "id"} for row in rows()])
    agree(*both(root / name))
    parts = [both(root / name, split) for split in ("disjoint-train", "disjoint-test")]
    for read, streamed in parts:
        agree(read, streamed)
    assert sum(len(streamed) for _, streamed in parts) == 12


@pytest.mark.parametrize("form", [form for form in FORMS if form != "llava"])
def test_every_form_that_is_written(form: str, root: Path) -> None:
    write_lines(root / "t.jsonl", rows())
    made = load_dataset("table", root=str(root / "t.jsonl"))
    [table] = write_sets({"train": made}, root / "out", form).tables
    agree(*both(table))


def test_conversations_of_several_questions(root: Path) -> None:
    talks = [
        {
            "image": f"{number}.png",
            "conversations": [
                {"from": who, "value": f"<image>\n{who} {number} {turn}?"}
                for turn in range(number)
                for who in ("human", "gpt")
            ],
        }
        for number in (1, 3, 2)
    ]
    write_lines(root / "t.jsonl", talks)
    read, streamed = both(root / "t.jsonl")
    agree(read, streamed)
    assert [each.id for each in read] == ["t-0", "t-1", "t-1-1", "t-1-2", "t-2", "t-2-1"]


def test_nothing_is_looked_at_before_it_is_asked_for(root: Path) -> None:
    table = rows()
    table[4]["image"] = "gone.png"
    table[5]["answer"] = ""
    write_lines(root / "t.jsonl", table)
    data = load_dataset("table", root=str(root), stream=True)
    assert data[0].images[0].read().size == (32, 32)
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        data[4].images[0].read()
    with pytest.raises(DataError, match=r"^table train: .*t\.jsonl, row 5: it has no answer; mend it, or set data"):
        data[5]
    with pytest.raises(IndexError):
        data[12]


def test_told_to_skip_bad_rows_are_there_without_a_readable_image(root: Path) -> None:
    write_lines(root / "t.jsonl", rows())
    (root / "t.jsonl").open("a").write("{no\n[1]\n")
    data = load_dataset("table", root=str(root), stream=True, on_error="skip")
    assert len(data) == 14
    for place, why in ((12, "it is no JSON"), (13, "it is no object")):
        with pytest.raises(DataError, match=why):
            data[place].images[0].read()


def test_rows_of_another_width_are_left_out_as_they_are_found(root: Path) -> None:
    write_csv(root / "t.csv", rows())
    (root / "t.csv").open("a").write("a;b\n\n")
    with pytest.raises(DataError, match="row 12: it has 2 fields, the header 7"):
        load_dataset("table", root=str(root), stream=True)
    data = load_dataset("table", root=str(root), stream=True, on_error="skip")
    assert len(data) == 12
    assert len(data.skipped) == 1


def test_a_limit_is_the_first_and_a_window_is_asked_of_every_image(root: Path) -> None:
    write_lines(root / "t.jsonl", rows())
    data = load_dataset("table", root=str(root), stream=True, limit=4, window="lung")
    assert len(data) == 4
    assert len(set(data.images())) == 2
    assert {image.window for image in data.images()} == {"lung"}
    assert [each.id for each in data.sample(2)] == ["case 0", "case 2"]


def test_what_cannot_be_streamed_is_told(root: Path) -> None:
    write_json(root / "t.json", rows())
    with pytest.raises(DataError, match=r"is one JSON list, which is read whole; write it as \.jsonl"):
        load_dataset("table", root=str(root / "t.json"), stream=True)
    with pytest.raises(DataError, match="'phantom' cannot be streamed"):
        load_dataset("phantom", stream=True)
    write_lines(root / "t.jsonl", rows())
    with pytest.raises(DataError, match=r"goes with no data\.without"):
        load_dataset("table", root=str(root / "t.jsonl"), stream=True, without=["a"])
    with pytest.raises(DataError, match="has no example to use"):
        load_dataset("table", split="other", root=str(root / "t.jsonl"), stream=True, columns={"split": "part"})
    loader = root / "loader.py"
    loader.write_text("def load(split, *, stream=False):\n    yield 1\n")
    with pytest.raises(DataError, match="must return a Sequence"):
        load_dataset(f"{loader}:load", stream=True)
    (root / "other.py").write_text("def load(split, *, stream=False):\n    return [1]\n")
    with pytest.raises(DataError, match="must give Examples, not int"):
        load_dataset(f"{root / 'other.py'}:load", stream=True)[0]


def config(root: Path, *more: str) -> rarl.RunConfig:
    return rarl.RunConfig().override(
        [
            "data.name=table",
            f"data.root={root / 't.jsonl'}",
            "data.stream=true",
            'data.options.columns.split="part"',
            'eval.splits=["test"]',
            "eval.limit=2",
            "model.base=tiny",
            "model.cache_dir=off",
            "rollout.prompts_per_step=2",
            "rollout.group_size=2",
            "rollout.max_new_tokens=8",
            "train.steps=3",
            "checkpoint.every_steps=1",
            *more,
        ]
    )


def test_a_run_streams_and_tells_of_shared_images(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_lines(root / "t.jsonl", rows())
    whole = rarl.train(config(root, "data.stream=false"), out=root / "whole").folder
    assert "2 of its 2 images are also in train" in caplog.text
    caplog.clear()
    streamed = rarl.train(config(root), out=root / "streamed").folder
    assert "2 of its 2 images are also in train" in caplog.text
    name = "adapter/adapter_model.safetensors"
    assert (streamed / name).read_bytes() == (whole / name).read_bytes()


def test_a_run_takes_another_example_for_one_that_is_bad(root: Path) -> None:
    table = rows()
    for place in (0, 4):
        table[place]["answer"] = ""
    write_lines(root / "t.jsonl", table)
    folder = rarl.train(config(root, "data.on_error=skip", "train.steps=4"), out=root / "run").folder
    fired = [row for row in read_rows(folder / "guards.jsonl") if row["guard"] == "unreadable"]
    assert fired
    assert all("it has no answer" in row["says"] for row in fired)
    assert {row["id"] for row in read_rows(folder / "rollouts.jsonl")} <= {f"case {n}" for n in (2, 6, 8, 10)}


def test_a_run_does_not_go_on_with_another_table(root: Path) -> None:
    write_lines(root / "t.jsonl", rows())
    folder = rarl.train(config(root, "eval.enabled=false"), out=root / "run").folder
    table = rows()
    table[6]["answer"] = "another"
    write_lines(root / "t.jsonl", table)
    with pytest.raises(RunFolderError, match="has other examples than when the run began"):
        assembly.resume(folder, ["train.steps=5"])
    write_lines(root / "t.jsonl", rows())
    assembly.resume(folder, ["train.steps=5"])


def test_the_page_says_what_was_measured() -> None:
    tables = json.loads((ROOT / "benchmarks" / "results" / "data-stream.json").read_text())["tables"]
    page = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
    for name, found in tables.items():
        seconds, comparing, peak = (found[key] for key in ("first_example_seconds", "comparing_seconds", "peak_bytes"))
        assert f"| {name} | {seconds:.1f} s | {comparing:.0f} s | {peak / 1e6:.0f} MB |" in page
        assert peak < 1e9
        assert seconds < 5 or "conversations" in name


def test_types_of_a_dataset_are_those_of_its_examples(root: Path) -> None:
    write_lines(root / "t.jsonl", rows())
    data = load_dataset("table", root=str(root), stream=True)
    assert isinstance(data[0], Example)
    with pytest.raises(RarlError):
        load_dataset("table", root=str(root), stream=True, options=3)
    assert picture(3)
