import json
from dataclasses import replace
from importlib.resources import files
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from rarl import planning
from rarl.config import RunConfig
from rarl.errors import ConfigError, ModelError
from rarl.planning import Plan, parse_memory, plan, plan_notes, plan_tables, workload
from rarl.policy.footprint import MOST, footprint, needed_bytes
from rarl.studies import load_study

TINY = ["model.base=tiny", "rollout.max_new_tokens=32", "data.limit=100", "eval.limit=20"]


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with Qwen2-VL-2B's config.json, and nothing else of it."""
    folder = tmp_path_factory.mktemp("Qwen2-VL-2B")
    shape = files("rarl.assets").joinpath("shapes", "qwen2-vl-2b.json")
    (folder / "config.json").write_text(shape.read_text(encoding="utf-8"))
    return str(folder)


def shown(found: Plan) -> str:
    console = Console(file=StringIO(), width=120)
    for table in plan_tables(found):
        console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue() + "\n".join(plan_notes(found))


@pytest.mark.parametrize(
    ("text", "size"), [("40GB", 40 * 10**9), ("39.5 GiB", 39.5 * 2**30), ("500mb", 5 * 10**8), ("1TiB", 2**40)]
)
def test_memory_with_its_unit(text: str, size: float) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["40", "40G", "GB", "40 GBit", "-4GB", "0GB", "4,5GB", "nanGB"])
def test_what_is_no_memory_is_told_in_one_line(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^--memory '.*' is no amount of memory: .*MB, GB, TB, MiB, GiB, TiB, as in 40GB$"
    ):
        parse_memory(text)


def test_the_workload_is_the_configs() -> None:
    config = RunConfig().override([*TINY, "model.max_vision_tokens=300", "train.resample=1", "rollout.top_p=0.9"])
    load = workload(config)
    assert (load.prompt_tokens, load.vision_tokens, load.new_tokens) == (300 + 128, 300, 32)
    assert (load.groups, load.group_size, load.tokens_per_batch) == (8, 8, 16384)
    assert (load.samples, load.records, load.reference, load.top_p) == (True, False, True, True)
    assert (load.evaluated, load.votes) == (16, 1)
    assert load.images == 100 + 20
    assert workload(config.override(["eval.enabled=false"])).evaluated == 0
    assert workload(config.override(["eval.limit=5"])).evaluated == 5
    assert workload(config, prompt_tokens=60).vision_tokens == 60
    sft = workload(config.override(["run.method=sft"]))
    assert (sft.samples, sft.reference, sft.group_size) == (False, False, 1)


def test_the_two_billion_model_from_its_config_alone(qwen: str) -> None:
    """Of the settings of configs/vqa-rad.toml, and of the same without gradient checkpointing."""
    settings = [f'model.base="{qwen}"', "model.device=cuda"]
    config = RunConfig.load("configs/vqa-rad.toml", settings)
    found = plan(config, memory="24GB")
    assert (found.device, found.dtype, found.memory) == ("cuda", "bfloat16", 24 * 10**9)
    assert found.phases["training"]["weights"] == 2_208_985_600 * 2
    assert found.fits
    assert list(found.phases) == ["vision", "sampling", "reference", "training", "update", "evaluation"]
    without = plan(config.override(["model.gradient_checkpointing=false"]), memory="24GB")
    assert not without.fits
    [said] = [note for note in plan_notes(without) if "gradient_checkpointing" in note]
    assert said == f"With model.gradient_checkpointing=true: {found.needed / 1e9:.2f} GB."
    budget = without.limits[0]
    assert (budget.name, budget.value) == ("train.tokens_per_batch", 16384)
    assert plan(
        config.override(["model.gradient_checkpointing=false", f"train.tokens_per_batch={budget.largest}"]),
        memory="24GB",
    ).fits


def test_each_limit_fits_and_the_next_does_not() -> None:
    found = plan(RunConfig().override(TINY), memory="600MB", prompt_tokens=100)
    assert found.fits
    fields = {
        "rollout.prompts_per_step": "groups",
        "rollout.group_size": "group_size",
        "rollout.max_new_tokens": "new_tokens",
        "eval.prompts_per_batch": "evaluated",
    }
    limits = {limit.name: limit for limit in found.limits}
    assert limits.keys() == {"train.tokens_per_batch", *fields}
    load = replace(found.load, tokens_per_batch=min(16384, limits["train.tokens_per_batch"].largest))
    for name, field in fields.items():
        limit = limits[name]
        assert limit.value == getattr(found.load, field)
        assert limit.value <= limit.largest < MOST
        for value, fits in ((limit.largest, True), (limit.largest + 1, False)):
            phases = footprint(found.sizes, replace(load, **{field: value}))
            assert (needed_bytes(found.sizes, phases) <= found.memory) is fits


def test_what_is_shown() -> None:
    found = plan(RunConfig().override(TINY), memory="16GB", prompt_tokens=100)
    text = shown(found)
    assert text.startswith("tiny, float32 on cpu: MB at the peak of each phase")
    for part in found.phases["training"]:
        assert part in text
    total = sum(found.phases["training"].values())
    assert f"{total / 1e6:,.2f}" in text
    assert f"Fits: {found.needed / 1e9:.2f} of 16.00 GB" in text
    assert "100 tokens" in text
    assert "of up to 120 images" in text


def test_what_does_not_fit_is_said_and_what_would() -> None:
    config = RunConfig().override([*TINY, "train.tokens_per_batch=200000", "rollout.prompts_per_step=1000"])
    found = plan(config, memory="1GB", prompt_tokens=100)
    assert not found.fits
    text = shown(found)
    assert "DOES NOT FIT" in text
    assert f"A run takes train.tokens_per_batch={found.limits[0].largest};" in text


def test_where_nothing_fits_no_setting_does() -> None:
    found = plan(RunConfig().override(TINY), memory="100MB")
    assert {limit.largest for limit in found.limits} == {0}
    assert "none" in shown(found)


def test_the_memory_of_the_machine_and_of_its_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit, cpu = tmp_path / "memory.max", torch.device("cpu")
    monkeypatch.setattr(planning, "CGROUP_LIMIT", limit)
    machine = planning._memory_of(cpu)
    assert machine > 10**8
    limit.write_text("max\n")
    assert planning._memory_of(cpu) == machine
    limit.write_text("12345678\n")
    assert planning._memory_of(cpu) == 12345678
    monkeypatch.delattr("os.sysconf")
    with pytest.raises(ConfigError, match="--memory 16GB"):
        planning._memory_of(cpu)


def test_what_cannot_be_planned_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'nowhere' .*does not exist"):
        plan(RunConfig().override(["model.base=nowhere"]))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="is a bert"):
        plan(RunConfig().override([f'model.base="{tmp_path}"']))
    with pytest.raises(ConfigError, match="--prompt-tokens 0"):
        plan(RunConfig().override(TINY), prompt_tokens=0)
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA device"):
            plan(RunConfig().override([*TINY, "model.device=cuda"]))


def test_qwen2_vl_2b_is_planned_where_the_hub_is_out_of_reach(qwen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(base: str, trusted: bool) -> None:
        raise ModelError(f"{base} cannot be fetched")

    config = RunConfig().override(["model.device=cuda", "model.base=Qwen/Qwen2-VL-2B-Instruct"])
    there = plan(config.override([f"model.base={qwen}"]), memory="40GB")
    monkeypatch.setattr("rarl.planning.require_supported", unreachable)
    assert plan(config, memory="40GB").phases == there.phases
    with pytest.raises(ModelError, match=r"nobody/knows cannot be fetched"):
        plan(config.override(["model.base=nobody/knows"]), memory="40GB")


@pytest.mark.parametrize("file", ["study-medical.toml", "study-medical-silvar.toml"])
def test_every_arm_of_the_medical_studies_fits_a_card_of_40_gb(file: str, qwen: str) -> None:
    study = load_study(Path(__file__).parents[1] / "configs" / file)
    for arm in study.arms:
        config = study.config(arm, study.seeds[0]).override([f"model.base={qwen}", "model.device=cuda"])
        assert plan(config, memory="40GB").fits, arm
