"""What works without which packages, and that a missing one is told in one line."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rarl
from rarl.config import Model, RunConfig
from rarl.errors import MissingExtraError
from rarl.extras import needed_for
from rarl.policy.loading import load_base

SHORT = (
    "model.base=tiny",
    "data.limit=2",
    "rollout.group_size=2",
    "rollout.prompts_per_step=1",
    "rollout.max_new_tokens=8",
    "train.steps=1",
    "model.device=cpu",
    "eval.limit=2",
    "eval.baselines=false",
)


def fetch(folder: Path) -> None:
    rarl.load_dataset("vqa-rad", split="train")


def read_a_copy(folder: Path) -> None:
    (folder / "dataset_dict.json").write_text("{}")
    rarl.load_dataset("vqa-rad", split="train", root=str(folder))


def train(folder: Path) -> None:
    rarl.train(RunConfig().override(SHORT), out=folder / "run")


def load_with_an_adapter(folder: Path) -> None:
    load_base(Model(base="tiny", device="cpu", adapter=str(folder)))


@pytest.mark.parametrize(
    ("package", "work", "purpose"),
    [
        ("datasets", fetch, "fetching flaviagiammarino/vqa-rad"),
        ("datasets", read_a_copy, "data.root: reading "),
        ("peft", train, "a LoRA adapter"),
        ("peft", load_with_an_adapter, "model.adapter"),
    ],
)
def test_a_missing_package_is_told_in_one_line(
    package: str, work: Callable[[Path], None], purpose: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        work(tmp_path)
    message = str(caught.value)
    assert message.startswith(purpose)
    assert message.endswith(f" needs {package}, which is not installed; get it with `pip install {package}`")
    assert "\n" not in message


def test_a_package_of_another_version_is_not_called_missing() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"json\.decoders"), needed_for("this"):
        import json.decoders  # noqa: F401


WITHOUT = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec

@staticmethod
def find_what_is_installed(name, *where):
    return None if name.partition(".")[0] in {packages} else find(name, *where)

PathFinder.find_spec = find_what_is_installed
"""


def without(packages: tuple[str, ...], code: str, *arguments: Path) -> str:
    """Standard output of a new interpreter in which `packages` are not installed."""
    start = WITHOUT.format(packages=packages)
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_base_is_evaluated_without_the_packages_of_training(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import rarl
folder = Path(sys.argv[1])
summary = rarl.evaluate("tiny", data="phantom", split="test", out=folder / "eval", overrides={SHORT[4:]!r})
print(summary.metrics["accuracy"].n)
try:
    rarl.train(rarl.RunConfig().override({SHORT!r}), out=folder / "run")
except rarl.MissingExtraError as error:
    print(error, (folder / "run").exists())
"""
    out = without(("accelerate", "datasets", "matplotlib", "torchvision", "trl"), code, tmp_path)
    assert re.search(r"^2\n.*a LoRA adapter needs accelerate, .*`pip install accelerate` False$", out, re.DOTALL)


def test_a_run_without_the_packages_of_hub_and_trackers_lacks_nothing(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import rarl
rarl.train(rarl.RunConfig().override({SHORT!r}), out=Path(sys.argv[1]))
"""
    run = tmp_path / "run"
    without(("datasets", "matplotlib", "tensorboard", "torchvision", "trl"), code, run)
    for name in ("metrics.jsonl", "adapter/adapter_model.safetensors", "eval/phantom-test/summary.json", "report.html"):
        assert (run / name).is_file(), name
