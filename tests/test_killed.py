"""A run that is killed at random moments, again and again, ends with the bytes of one that was not."""

import os
import random
import resource
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from rarl import assembly
from rarl.config import RunConfig
from rarl.errors import RarlError, StoppedError
from rarl.files import read_rows
from rarl.runlog import RunFolder

KILLS = 25
SETTINGS = [
    "model.base=tiny",
    "data.name=phantom",
    "data.limit=20",
    "rollout.group_size=4",
    "rollout.prompts_per_step=2",
    "rollout.max_new_tokens=24",
    "train.steps=36",
    "train.lr=2e-3",
    "eval.limit=8",
    "eval.every_steps=12",
    "checkpoint.every_steps=3",
    "reward.probe=off",
]
FILES = (
    "metrics.jsonl",
    "rollouts.jsonl",
    "adapter/adapter_model.safetensors",
    "checkpoints/step-000036/optimizer.safetensors",
    "checkpoints/step-000036/state.json",
    "eval/before/phantom-test/records.jsonl",
    "eval/step-000012/phantom-test/records.jsonl",
    "eval/phantom-test/records.jsonl",
)


def go(folder: Path, room: int) -> None:
    """In a process of its own: begin the run, or go on with it. No file may have more than `room` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs these tests may have it ignored
    config = RunConfig().override(SETTINGS)
    try:
        if (folder / "config.toml").is_file():
            assembly.resume(folder)
        else:
            assembly.train(config, out=folder)
    except StoppedError as error:
        os._exit(error.exit_code)
    except RarlError as error:
        (folder.parent / "told").write_text(str(error))
        os._exit(error.exit_code)


@pytest.fixture(scope="module")
def processes():
    context = get_context("forkserver")
    context.set_forkserver_preload(["rarl.assembly", "transformers.models.qwen2_vl.modeling_qwen2_vl", "peft"])
    return context


@pytest.fixture(scope="module")
def whole(tmp_path_factory, processes) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert ended(processes, folder) == 0
    return folder


def started(processes, folder, room=resource.RLIM_INFINITY):
    process = processes.Process(target=go, args=(folder, room))
    process.start()
    return process


def ended(processes, folder, room=resource.RLIM_INFINITY) -> int:
    process = started(processes, folder, room)
    process.join(300)
    return process.exitcode


def require_same(folder: Path, whole: Path) -> None:
    for name in FILES:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    rows = list(read_rows(folder / "rollouts.jsonl"))
    assert len(rows) == 36 * 2 * 4


def test_killed_at_random_moments_it_ends_the_same(tmp_path, processes, whole):
    folder, draw, writes = tmp_path / "run", random.Random(0), 0
    for kill in range(KILLS):
        process = started(processes, folder)
        if kill % 3 == 0:  # within the writing of a checkpoint
            deadline = time.monotonic() + 6
            while process.is_alive() and time.monotonic() < deadline:
                if any((folder / "checkpoints").glob(".step-*.part")):
                    writes += 1
                    break
        else:
            time.sleep(draw.uniform(0.2, 2.5))
        process.kill()
        process.join()
    assert ended(processes, folder) == 0
    require_same(folder, whole)
    assert writes > 3, "some kills met a checkpoint that was being written"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_asked_to_stop_it_saves_and_goes_on_the_same(tmp_path, processes, whole, number, code):
    folder = tmp_path / "run"
    process = started(processes, folder)
    while not (folder / "metrics.jsonl").exists():
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == code
    [(saved, _)] = RunFolder.open(folder).checkpoints.all()[-1:]
    assert saved == RunFolder.open(folder).metrics()[-1]["step"] < 36, "no step is lost"
    assert ended(processes, folder) == 0
    require_same(folder, whole)


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path, processes, whole):
    folder = tmp_path / "run"
    process = started(processes, folder)
    while len(RunFolder(folder).checkpoints.all()) < 2:
        time.sleep(0.01)
    process.kill()
    process.join()
    newest = RunFolder.open(folder).checkpoints.all()[-1].path / "optimizer.safetensors"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(bytes(content))
    assert ended(processes, folder) == 0
    require_same(folder, whole)


@pytest.mark.parametrize("name", ["rollouts.jsonl", "adapter/adapter_model.safetensors", "metrics.jsonl"])
def test_where_there_is_no_room_it_stops_in_one_line_and_goes_on_the_same(tmp_path, processes, whole, name):
    """The system lets no file grow beyond a size that this one has in the end: as on a full disk, a write fails."""
    folder = tmp_path / "run"
    assert ended(processes, folder, room=(whole / name).stat().st_size - 1) == 2
    told = (tmp_path / "told").read_text()
    assert "cannot write" in told
    assert f"make room, and go on with rarl train --resume {folder}" in told
    assert "\n" not in told
    assert all(not checkpoint.damage for checkpoint in RunFolder.open(folder).checkpoints.all())
    assert ended(processes, folder) == 0
    require_same(folder, whole)
