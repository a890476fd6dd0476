"""A study that is told to stop: its arms save what they have, and a second call goes on to the same bytes."""

import os
import signal
import subprocess
import sys
import time

from small_study import TOML, write

LONGER = TOML.replace("steps = 2\n", "steps = 40\n").replace("every_steps = 1\n", "every_steps = 20\n")
ONE_SEED = LONGER.replace("seeds = [3, 4]", "seeds = [3]")
RUN = "arms/rl/seed-3/run"


def call(file, out):
    command = [sys.executable, "-m", "rarl", "study", str(file), "--out", str(out), "--workers", "1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_it_stops_within_seconds_and_goes_on_to_the_same_bytes(tmp_path):
    file = write(tmp_path, ONE_SEED)
    whole = call(file, tmp_path / "whole")
    study = call(file, tmp_path / "out")
    metrics = tmp_path / "out" / RUN / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 3):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(study.pid, signal.SIGTERM)  # as a scheduler does, to all processes at once
    _, told = study.communicate(timeout=60)
    assert study.returncode == 75
    assert f"rarl: stopped by SIGTERM; go on with rarl study {file} --out {tmp_path / 'out'}" in told
    assert "Traceback" not in told
    steps = len(metrics.read_text().splitlines())
    assert steps < 40
    assert [path.name for path in (metrics.parent / "checkpoints").iterdir()] != [], "what was done is saved"
    again = call(file, tmp_path / "out")
    for process in (again, whole):
        process.communicate(timeout=120)
        assert process.returncode == 0
    for name in (f"{RUN}/metrics.jsonl", f"{RUN}/rollouts.jsonl", f"{RUN}/adapter/adapter_model.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_killed_it_leaves_no_process_that_its_next_call_would_meet(tmp_path):
    file = write(tmp_path, ONE_SEED)
    study = call(file, tmp_path / "out")
    metrics = tmp_path / "out" / RUN / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    study.kill()  # it alone, and it can't tell its arms
    study.communicate(timeout=60)
    again = call(file, tmp_path / "out")
    _, told = again.communicate(timeout=120)
    assert again.returncode == 0, told
