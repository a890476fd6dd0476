"""Image files that go while a run is under way: the run stops and goes on, or takes other examples, as it was told."""

from pathlib import Path

import pytest

import rarl
from rarl import assembly
from rarl.data.images import FileImage
from rarl.data.phantom import load as phantom
from rarl.draws import Draws
from rarl.errors import DataError, RunFolderError
from rarl.files import read_rows
from rarl.runlog import RunFolder
from rarl.training.batches import Batches
from rarl.types import Example, StepMetrics

LOADER = """
import json
from dataclasses import replace
from pathlib import Path
from rarl.data.images import FileImage
from rarl.data.phantom import load as phantom

def load(split, *, root="", seed=0):
    said = json.loads((Path(root) / "said.json").read_text())
    for item in phantom(split, seed=seed, limit=said["count"]):
        images = (FileImage(Path(root) / f"{item.id}.png"),)
        yield replace(item, question=said.get("question", item.question), images=images)
"""
NAMES = ("metrics.jsonl", "rollouts.jsonl", "adapter/adapter_model.safetensors")
SEED, PROMPTS, STEPS = 5, 2, 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "loader.py").write_text(LOADER)
    (tmp_path / "images").mkdir()
    for item in phantom("train", seed=SEED, limit=10):
        item.images[0].read().save(tmp_path / "images" / f"{item.id}.png")
    (tmp_path / "images" / "said.json").write_text('{"count": 10}')
    return tmp_path / "images"


def config(root: Path, *more: str) -> rarl.RunConfig:
    return rarl.RunConfig().override(
        [
            f"data.name={root.parent / 'loader.py'}:load",
            f"data.root={root}",
            "model.base=tiny",
            "model.cache_dir=off",
            f"run.seed={SEED}",
            f"rollout.prompts_per_step={PROMPTS}",
            "rollout.group_size=4",
            "rollout.max_new_tokens=24",
            f"train.steps={STEPS}",
            "checkpoint.every_steps=3",
            "eval.enabled=false",
            "reward.probe=off",
            *more,
        ]
    )


def third_step(root: Path) -> Path:
    """An image that no step before the third asks for."""
    examples: list[Example] = list(phantom("train", seed=SEED, limit=10))
    return root / f"{Batches(examples, PROMPTS, Draws(SEED)).at(2)[1].id}.png"


# Images of the next step are read while one is under way: what is to be missing in the third goes before the second.
def removed_after(step: int, path: Path, patch: pytest.MonkeyPatch) -> None:
    append = RunFolder.append_metrics

    def remove(self: RunFolder, metrics: StepMetrics) -> None:
        append(self, metrics)
        if metrics.step == step:
            path.unlink()

    patch.setattr(RunFolder, "append_metrics", remove)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def test_the_run_stops_between_two_steps_and_goes_on_when_the_file_is_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rarl.train(config(root), out=tmp_path / "whole").folder
    gone = third_step(root)
    kept = gone.read_bytes()
    with monkeypatch.context() as patch:
        removed_after(1, gone, patch)
        with pytest.raises(DataError) as raised:
            rarl.train(config(root), out=tmp_path / "run")
    said = str(raised.value)
    assert said.startswith(f"step 3: example {gone.stem!r}: {gone} does not exist; put it back and go on with rarl ")
    assert "\n" not in said
    assert RunFolder.open(tmp_path / "run").checkpoints.all()[-1].step == 2, "nothing is lost"
    gone.write_bytes(kept)
    assembly.resume(tmp_path / "run")
    assert contents(tmp_path / "run") == contents(whole)


def test_told_to_skip_it_takes_another_example_and_writes_down_which_is_gone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = third_step(root)
    with monkeypatch.context() as patch:
        removed_after(1, gone, patch)
        folder = rarl.train(config(root, "data.on_error=skip"), out=tmp_path / "run").folder
    [row] = read_rows(folder / "guards.jsonl")
    assert (row["step"], row["guard"], row["action"]) == (3, "unreadable", "replaced")
    assert row["rows"] == [{"id": gone.stem}]
    by_step = {step: set() for step in range(1, STEPS + 1)}
    for rollout in read_rows(folder / "rollouts.jsonl"):
        by_step[rollout["step"]].add(rollout["id"])
    assert all(len(ids) == PROMPTS for ids in by_step.values())
    assert gone.stem not in by_step[3]


def test_an_image_that_was_damaged_counts_as_gone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = third_step(root)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path, *_: path.write_bytes(path.read_bytes()[:200]))
        removed_after(1, gone, patch)
        with pytest.raises(DataError, match=rf"^step 3: example '{gone.stem}': {gone} cannot be read as an image"):
            rarl.train(config(root), out=tmp_path / "run")
    with pytest.raises(DataError):
        FileImage(gone).read()


def killed_after(step: int, patch: pytest.MonkeyPatch) -> None:
    append = RunFolder.append_metrics

    def kill(self: RunFolder, metrics: StepMetrics) -> None:
        append(self, metrics)
        if metrics.step == step:
            raise KeyboardInterrupt

    patch.setattr(RunFolder, "append_metrics", kill)


@pytest.fixture
def killed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that skips bad rows, killed in its second step."""
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            rarl.train(config(root, "data.on_error=skip", "checkpoint.every_steps=1"), out=tmp_path / "run")
    return tmp_path / "run"


def test_one_that_is_gone_when_the_run_goes_on_moves_no_other(root: Path, tmp_path: Path, killed: Path) -> None:
    """The loader leaves it out now; each other example is still seen in the step that it was to be seen in."""
    gone = third_step(root)
    whole = rarl.train(config(root, "data.on_error=skip"), out=tmp_path / "whole").folder
    gone.unlink()
    assembly.resume(killed)

    def seen(folder: Path) -> list[tuple[int, str]]:
        rows = [(row["step"], row["id"]) for row in read_rows(folder / "rollouts.jsonl")]
        return [row for row in dict.fromkeys(rows) if row[1] != gone.stem]

    assert set(seen(whole)) < set(seen(killed))
    assert len(seen(killed)) == STEPS * PROMPTS
    assert {row["rows"][0]["id"] for row in read_rows(killed / "guards.jsonl")} == {gone.stem}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            '{"count": 10, "question": "Is it?"}',
            r"can't go on: .* 10 examples, '.*-0' first, are of other content",
        ),
        ('{"count": 8}', r"2 examples, '.*-8' first, are missing that the run began with; put it back, or start"),
        ('{"count": 11}', r"has 11 examples, and had 10 when the run began"),
    ],
)
def test_a_run_does_not_go_on_with_other_data(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    with monkeypatch.context() as patch:
        killed_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            rarl.train(config(root), out=tmp_path / "run")
    (root / "said.json").write_text(said)
    extra = list(phantom("train", seed=SEED, limit=11))[10]
    extra.images[0].read().save(root / f"{extra.id}.png")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=told) as raised:
        assembly.resume(tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
