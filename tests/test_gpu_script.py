"""benchmarks/gpu.sh: its phases, what it makes of one that fails, and that its check of a device can fail.

The whole script takes two minutes of CPU, so it is run as a slow test; the others put a stand-in in Python's place,
or call the parts.
"""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from rarl.policy import Policy
from rarl.policy.recording import Replay

ROOT = Path(__file__).resolve().parents[1]
PHASES = ["check-small", "check-shape", "step-4", "trl", "step-16", "plan-4", "plan-16", "repeat"]
STAND_IN = f"""#!{sys.executable}
import json, os, sys
words = sys.argv[1:]
if words[0] == "-c":  # are these packages there?
    sys.exit(any(name in os.environ.get("MISSING", "").split() for name in words[2:]))
if words[0] == "-m" or words[0].endswith("device_results.py"):
    os.execv(sys.executable, [sys.executable, *words])
with open(words[words.index("--out") + 1], "w") as file:
    json.dump(dict(words=words[:-2], path=os.environ["PYTHONPATH"].split(":")), file)
if os.environ.get("FAILING", "nothing") in words[0]:
    sys.exit("no memory left")
print("progress")
print("fine")
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(torch.Tensor, "backward", torch.Tensor.backward)  # a clock is put on it; undone afterwards


@pytest.fixture
def script(tmp_path):
    """Runs the script on the CPU with a stand-in for Python; its exit status, output and results."""

    def run(**environment):
        python = tmp_path / "python"
        python.write_text(STAND_IN)
        python.chmod(0o755)
        results = tmp_path / "results"
        given = {"DEVICE": "cpu", "PYTHON": str(python), "RESULTS": str(results)} | environment
        done = subprocess.run([ROOT / "benchmarks" / "gpu.sh"], env=os.environ | given, capture_output=True, text=True)
        found = [json.loads(file.read_text()) for file in results.glob("*.json")]
        return done, found[0] if found else None

    return run


def test_phases_are_run_in_order_and_kept_in_one_file(script):
    done, found = script(SHAPE="mid")
    assert done.returncode == 0, done.stderr
    assert list(found["phases"]) == PHASES
    assert [line.split(",")[0] for line in done.stdout.splitlines()[: len(PHASES)]] == PHASES
    assert done.stdout.splitlines()[0].endswith("s: fine")
    assert {"torch", "transformers", "peft", "trl"} <= found["environment"]["packages"].keys()
    assert found["device"] == found["environment"]["cpu"]
    words = {name: " ".join(phase["found"]["words"]) for name, phase in found["phases"].items()}
    assert words["check-small"].startswith("benchmarks/device_check.py --shape tiny --device cpu")
    assert words["check-shape"].startswith("benchmarks/device_check.py --shape mid --device cpu")
    case = "--model mid --dtype float32 --device cpu --shape 16,4,8 --groups"
    assert words["step-16"] == f"benchmarks/device_step.py {case} 16"
    assert words["plan-4"] == f"benchmarks/memory.py {case} 4"
    assert words["trl"] == f"benchmarks/vs_trl.py {case} 4 --trl-micro-batch 4"


def test_the_small_shape_is_checked_once(script):
    _, found = script()
    assert list(found["phases"]) == [name for name in PHASES if name != "check-shape"]


def test_a_phase_that_fails_hides_no_other(script):
    done, found = script(FAILING="device_step")
    assert done.returncode == 1
    assert re.search(r"step-4, \d+ s: FAILED with status 1 ", done.stdout)
    assert "no memory left" in done.stderr
    status = {name: phase["status"] for name, phase in found["phases"].items()}
    assert [name for name, code in status.items() if code] == ["step-4", "step-16"]
    assert found["phases"]["step-4"]["found"]  # what it left behind is kept
    assert found["phases"]["plan-16"]["status"] == 0


def test_without_trl_the_comparison_is_skipped_by_name(script):
    done, found = script(MISSING="trl")
    assert done.returncode == 0
    assert "trl: skipped, TRL or datasets is not installed" in done.stdout
    assert "trl" not in found["phases"]


def test_what_the_package_needs_is_asked_for_first(script):
    done, found = script(MISSING="pydantic")
    assert done.returncode == 1
    assert "lacks one of torch, transformers, peft, pydantic and tomli_w" in done.stderr
    assert found is None


def test_only_some_phases(script):
    done, found = script(PHASES="plan-4 step-4", MISSING="trl")
    assert list(found["phases"]) == ["step-4", "plan-4"]
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("as_folder", [True, False])
def test_wheels_are_unpacked_behind_the_package(script, tmp_path, as_folder):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "extra-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("extra.py", "")
    given = wheels if as_folder else wheels / "extra-1-py3-none-any.whl"
    done, found = script(PHASES="step-4", WHEELS=str(given))
    assert done.returncode == 0, done.stderr
    first, *_, last = found["phases"]["step-4"]["found"]["path"]
    assert first == str(ROOT / "src")
    assert last == str(wheels) if as_folder else last.endswith("/site")


@pytest.mark.slow
def test_the_whole_script_runs_on_the_cpu(tmp_path):
    given = {"DEVICE": "cpu", "PYTHON": sys.executable, "RESULTS": str(tmp_path)}
    done = subprocess.run([ROOT / "benchmarks" / "gpu.sh"], env=os.environ | given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [file] = tmp_path.iterdir()
    found = json.loads(file.read_text())["phases"]
    assert not any(phase["status"] for phase in found.values())
    assert found["check-small"]["found"].keys() == {"shape", "device", "tf32", "float32", "bfloat16"}
    for groups in (4, 16):
        assert found[f"step-{groups}"]["found"]["completion_tokens"] == [8] * 4 * groups
        assert found[f"plan-{groups}"]["found"]["rows"][0]["groups"] == groups
    if "trl" in found:
        assert found["trl"]["found"]["rows"][0]["ratio_step"] > 1


def checked(tmp_path):
    """The device check of the tiny shape in float32, as a table of its rows."""
    import device_check

    words = ["--shape", "tiny", "--dtype", "float32", "--device", "cpu", "--vision-tokens", "16", "--new-tokens", "8"]
    out = tmp_path / "check.json"
    try:
        device_check.main([*words, "--out", str(out)])
    finally:
        found = json.loads(out.read_text())["float32"]
    return {row["name"]: row for row in found["checks"]}


def test_this_device_computes_what_the_plain_path_computes(tmp_path):
    rows = checked(tmp_path)
    assert len(rows) == 9
    assert all(row["passed"] for row in rows.values())
    assert rows["shared prefix"]["logprobs_max"] < 3e-5
    assert rows["recording"]["gradients_worst"] < 3e-5


def test_a_pass_at_another_temperature_is_found(tmp_path, monkeypatch, capsys):
    logprobs = Policy.logprobs
    monkeypatch.setattr(Policy, "logprobs", lambda self, batch, t, **more: logprobs(self, batch, t * 1.001, **more))
    with pytest.raises(SystemExit, match=r"beyond the bound: float32: shared prefix, .*reference.*sampler against tra"):
        checked(tmp_path)
    assert "3 of 9 hold" in capsys.readouterr().out  # recording and its fresh pass go wrong alike, the sampler doesn't


def test_products_of_other_rows_are_found(tmp_path, monkeypatch):
    known = Replay._known
    monkeypatch.setattr(Replay, "_known", lambda *args: known(*args).roll(1, 0))
    with pytest.raises(SystemExit, match=r"bound: float32: recording, float32: recording, checkpointing$"):
        checked(tmp_path)


def test_bounds_refuse_what_is_no_number():
    from device_check import Difference

    bound = Difference(logprobs_max=0.1, gradients_worst=0.2)
    assert Difference(0.1, 5.0, 0.2).within(bound)
    assert Difference(gradients_worst=0.2).within(bound)
    assert not Difference(logprobs_max=float("nan")).within(bound)
    assert not Difference(0.05, 0.01, 0.21).within(bound)
    assert bound.times(2) == Difference(logprobs_max=0.2, gradients_worst=0.4)


def test_the_bytes_that_decoding_reads():
    """Two steps after the prefill: each reads the weights, the prompt's keys and values, and each completion's own."""
    from device_step import measure
    from versus.case import Case

    found = measure(Case(16, 2, 3, groups=2, model="tiny"))
    layer = 128 * (128 + 2 * 64) + 128 * 128 + 3 * 128 * 256
    weights = 4 * layer + 2048 * 128
    one = 4 * 2 * 64  # key and value of a token, all layers
    kept = sum(one * (2 * prompt + 2 * (1 + 2)) for prompt in found["prompt_tokens"])
    decode = found["decode"]
    assert decode["bytes"] == 4 * (2 * weights + kept)
    assert decode["share_of_bound"] == pytest.approx(decode["bound_seconds"] / decode["decode_seconds"])
    assert decode["tokens_per_second"] == pytest.approx(2 * 2 * 2 / decode["decode_seconds"])


def test_two_runs_that_do_not_agree_are_told(tmp_path, monkeypatch, capsys):
    """One draw of a completion differs: not the first step, and not in the deterministic mode."""
    import device_repeat

    from rarl.training.learner import Learner

    update, runs = Learner.update, []

    def noisy(self, *arguments):
        if self.step == 0:
            runs.append(0)
        if self.step == 1 and len(runs) == 2:
            next(iter(self._named.values())).grad += 1e-3
        return update(self, *arguments)

    monkeypatch.setattr(Learner, "update", noisy)
    monkeypatch.setattr(sys, "argv", ["", "--device", "cpu", "--steps", "3", "--out", str(tmp_path / "repeat.json")])
    assert device_repeat.main() == 0
    found = json.loads((tmp_path / "repeat.json").read_text())["deterministic"]
    assert not found["false"]["adapters_equal"]
    assert found["false"]["first_step_apart"] == 2
    assert 0 < found["false"]["adapters_apart"] < 1
    assert found["true"] | {"seconds_a_step": 0} == {
        "adapters_equal": True,
        "adapters_apart": 0.0,
        "first_step_apart": None,
        "seconds_a_step": 0,
    }
