"""Whole runs on the embedded model, short."""

import importlib.util
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rarl
from rarl import assembly
from rarl.config import RunConfig
from rarl.errors import ConfigError, DataError, MissingExtraError, ModelError, RarlError, RunFolderError
from rarl.files import read_rows
from rarl.planning import settled
from rarl.policy import Policy
from rarl.policy.loading import resolve_base
from rarl.policy.vision import VisionFeatures
from rarl.reporting import write_report
from rarl.runlog import RunFolder

SHORT = [
    "model.base=tiny",
    "model.device=cpu",
    "data.limit=6",
    "rollout.group_size=4",
    "rollout.prompts_per_step=2",
    "rollout.max_new_tokens=12",
    "train.steps=4",
    "train.lr=1e-3",
    "eval.limit=6",
    "checkpoint.every_steps=2",
]
LOGS = ("metrics.jsonl", "rollouts.jsonl")


def config(*overrides: str) -> RunConfig:
    return RunConfig().override([*SHORT, *overrides])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> assembly.Run:
    return rarl.train(config("eval.every_steps=2"), out=tmp_path_factory.mktemp("runs") / "whole")


def contents(folder: Path, names: tuple[str, ...]) -> list[bytes]:
    return [(folder / name).read_bytes() for name in names]


def test_a_run_leaves_what_is_promised(run: assembly.Run) -> None:
    for name in (
        "config.toml",
        "environment.json",
        *LOGS,
        "timings.jsonl",
        "report.html",
        "adapter/adapter_config.json",
    ):
        assert (run.folder / name).is_file(), name
    assert RunFolder.open(run.folder).config.digest() == config("eval.every_steps=2").digest()
    assert [row["step"] for row in read_rows(run.folder / "metrics.jsonl")] == [1, 2, 3, 4]
    assert len(list(read_rows(run.folder / "rollouts.jsonl"))) == 4 * 2 * 4
    assert [step for step, _ in RunFolder.open(run.folder).checkpoints.all()] == [2, 4]
    for stage in ("", "before/", "step-000002/"):
        records = list(read_rows(run.folder / f"eval/{stage}phantom-test/records.jsonl"))
        assert len({row["id"] for row in records}) == len(records) == 6
        assert "accuracy" in json.loads((run.folder / f"eval/{stage}phantom-test/summary.json").read_text())
    assert run.results[0].before is not None
    assert "eval/test/accuracy" in list(read_rows(run.folder / "metrics.jsonl"))[1]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run: assembly.Run, tmp_path: Path) -> None:
    again = rarl.train(config("eval.every_steps=2"), out=tmp_path / "again")
    names = (*LOGS, "adapter/adapter_model.safetensors", "eval/phantom-test/records.jsonl")
    assert contents(again.folder, names) == contents(run.folder, names)
    other = rarl.train(config("run.seed=1", "eval.enabled=false"), out=tmp_path / "other")
    assert contents(other.folder, LOGS) != contents(run.folder, LOGS)
    assert not (other.folder / "eval").exists()


def test_an_image_is_encoded_once_in_a_run_and_never_again_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is read instead of computed gives the same bytes."""
    towers: list[VisionFeatures] = []
    load = Policy.load

    def watched(*arguments: Any) -> Policy:
        policy = load(*arguments)
        towers.append(policy.vision)
        return policy

    monkeypatch.setattr(Policy, "load", watched)
    without, cold, warm = (
        rarl.train(
            config("train.steps=2", "data.limit=3", "eval.limit=2", f"model.cache_dir={place}"), out=tmp_path / name
        )
        for name, place in (("without", "off"), ("cold", tmp_path / "kept"), ("warm", tmp_path / "kept"))
    )
    assert [tower.encodes for tower in towers] == [5, 5, 0]  # of three questions and two, each with its own picture
    assert [tower.disk_hits for tower in towers] == [0, 0, 5]
    names = (*LOGS, "adapter/adapter_model.safetensors", "eval/phantom-test/records.jsonl")
    assert contents(warm.folder, names) == contents(cold.folder, names) == contents(without.folder, names)


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    run: assembly.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = RunFolder.append_metrics

    def interrupt(self, metrics):
        append(self, metrics)
        if metrics.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rarl.train(config("eval.every_steps=2"), out=tmp_path / "cut")
    assert len(list(read_rows(tmp_path / "cut" / "metrics.jsonl"))) == 3
    write_report(tmp_path / "cut")  # a look at what is there so far doesn't finish it
    resumed = assembly.resume(tmp_path / "cut")
    timings = resumed.folder / "timings.jsonl"
    assert [row["step"] for row in read_rows(timings)] == [
        row["step"] for row in read_rows(run.folder / "metrics.jsonl")
    ]
    assert all(0 < row["sample"] + row["train"] < row["whole"] for row in read_rows(timings))
    names = (*LOGS, "adapter/adapter_model.safetensors", "eval/phantom-test/records.jsonl")
    assert contents(resumed.folder, names) == contents(run.folder, names)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("train.steps=3", "stands at step 4: train.steps can't be 3"),
        ("train.lr=0.5", r"was begun with other settings: train\.lr \(0\.5, was "),
        ("data.limit=3", r"other settings: data\.limit \(3, was "),
    ],
)
def test_what_may_not_change_is_named_and_nothing_is_written(
    run: assembly.Run, tmp_path: Path, change: str, told: str
) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "adapter")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=told):
        assembly.resume(tmp_path / "run", [change])
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_run_that_lacks_only_its_report_gets_one(run: assembly.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "copy")
    (folder / "report.html").unlink()
    assembly.resume(folder)
    assert (folder / "report.html").is_file()
    assert contents(folder, LOGS) == contents(run.folder, LOGS)


def test_a_finished_run_is_left_as_it_is(run: assembly.Run, caplog: pytest.LogCaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    with caplog.at_level(logging.WARNING):
        again = assembly.resume(run.folder)
    assert "nothing was left to do" in caplog.text
    assert again.results == run.results
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_a_finished_run_that_is_made_longer_goes_on_and_loses_nothing(run: assembly.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "finished")
    cut = shutil.copytree(run.folder, tmp_path / "cut")  # as if it had been stopped after its last step
    shutil.rmtree(cut / "adapter")
    shutil.rmtree(cut / "eval" / "phantom-test")
    assembly.resume(cut, ["train.steps=6"])
    longer = assembly.resume(folder, ["train.steps=6"])
    names = (*LOGS, "adapter/adapter_model.safetensors", "eval/phantom-test/records.jsonl")
    assert contents(folder, names) == contents(cut, names)
    assert contents(folder, names) != contents(run.folder, names)
    for name in ("records.jsonl", "summary.json"):
        assert (folder / "eval/step-000004/phantom-test" / name).read_bytes() == (
            run.folder / "eval/phantom-test" / name
        ).read_bytes()
    assert json.loads((folder / "adapter/run_card.json").read_text())["steps"] == 6
    assert len(longer.results) == 1
    assert "6 steps" in (folder / "adapter/README.md").read_text()


def test_one_that_is_killed_while_it_gets_longer_keeps_its_adapter_until_there_is_the_new_one(
    run: assembly.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = (shutil.copytree(run.folder, tmp_path / name) for name in ("killed", "whole"))
    weights = (folder / "adapter/adapter_model.safetensors").read_bytes()
    for method in ("append_metrics", "append_rollouts"):  # in the first further step, and on going on with it
        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, method, interrupted)
            with pytest.raises(KeyboardInterrupt):
                assembly.resume(folder, ["train.steps=6"] * (method == "append_metrics"))
        assert (folder / "adapter/adapter_model.safetensors").read_bytes() == weights
        assert (folder / "eval/step-000004/phantom-test/summary.json").is_file()
    assembly.resume(folder)
    assembly.resume(whole, ["train.steps=6"])
    names = (*LOGS, "adapter/adapter_model.safetensors", "eval/phantom-test/records.jsonl")
    assert contents(folder, names) == contents(whole, names)


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("change", ["train.steps=3", "eval.limit=3", "train.lr=0.5"])
def test_a_finished_run_takes_no_other_change_and_says_so(run: assembly.Run, change: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    key = change.partition("=")[0]
    with pytest.raises(
        RunFolderError, match=rf"is finished, and only a larger train\.steps goes on with it, not {key}"
    ):
        assembly.resume(run.folder, [change])
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_a_finished_run_without_the_checkpoint_of_its_end_cannot_be_made_longer(
    run: assembly.Run, tmp_path: Path
) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "copy")
    shutil.rmtree(folder / "checkpoints" / "step-000004")
    with pytest.raises(RunFolderError, match=r"after its last step, 4, and has no sound checkpoint of it"):
        assembly.resume(folder, ["train.steps=6"])
    assert (folder / "eval/phantom-test/summary.json").is_file()


def test_under_another_length_nothing_is_taken_over_from_after_the_checkpoint(
    run: assembly.Run, tmp_path: Path
) -> None:
    """An evaluation at step 4 of the old schedule is none of the new one's."""
    folder, clean = (shutil.copytree(run.folder, tmp_path / name) for name in ("left", "clean"))
    for each in (folder, clean):
        shutil.rmtree(each / "adapter")
        shutil.rmtree(each / "checkpoints" / "step-000004")
        shutil.move(each / "eval" / "phantom-test", each / "eval" / "step-000004" / "phantom-test")
    shutil.rmtree(clean / "eval" / "step-000004")
    for each in (folder, clean):
        assembly.resume(each, ["train.steps=6"])
    names = (*LOGS, "eval/step-000004/phantom-test/records.jsonl")
    assert contents(folder, names) == contents(clean, names)
    assert (folder / names[-1]).stat().st_mtime_ns > (folder / "config.toml").stat().st_mtime_ns, "asked anew"


def test_a_run_whose_log_was_cut_is_refused(run: assembly.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "copy")
    shutil.rmtree(folder / "adapter")
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:3]))
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl was cut or edited: the checkpoint of step 4 counts on 4"):
        assembly.resume(folder)


def test_a_damaged_checkpoint_is_warned_of_once(
    run: assembly.Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "copy")
    shutil.rmtree(folder / "adapter")
    (folder / "checkpoints/step-000004/state.json").write_text("{}")
    with caplog.at_level(logging.WARNING):
        assembly.resume(folder)
    assert caplog.text.count("is damaged and passed over") == 1
    names = (*LOGS, "adapter/adapter_model.safetensors", "eval/phantom-test/records.jsonl")
    assert contents(folder, names) == contents(run.folder, names)


@pytest.mark.parametrize("target", ["answer", "rationale"])
def test_supervised_fine_tuning_lowers_its_loss(target: str, tmp_path: Path) -> None:
    settings = config(f"sft.target={target}", "train.steps=12", "eval.enabled=false", "rollout.prompts_per_step=4")
    folder = rarl.sft(settings, out=tmp_path / "sft").folder
    losses = [row["loss"] for row in read_rows(folder / "metrics.jsonl")]
    assert sum(losses[-3:]) < sum(losses[:3])
    assert RunFolder.open(folder).config.run.method == "sft"
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert not (folder / "rollouts.jsonl").exists()


@pytest.mark.parametrize(
    ("verb", "name", "folder"),
    [
        (rarl.sft, "vqa-rad", "vqa-rad-sft-1"),
        (rarl.sft, "my-sft-of-rationales", "my-sft-of-rationales-1"),
        (rarl.sft, "", "sft-1"),
        (rarl.train, "vqa-rad", "vqa-rad-1"),
        (rarl.train, "", "grpo-1"),
    ],
)
def test_a_new_folder_says_whether_the_run_is_supervised(
    verb: Callable[[RunConfig], assembly.Run], name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SimpleNamespace(run=lambda run: assembly.Run(run.path, ()))
    monkeypatch.setattr(assembly._Session, "open", lambda config: session)
    assert verb(config(f'run.name="{name}"', f'run.out="{tmp_path}"')).folder == tmp_path / folder


def test_reinforcement_after_supervised_starts_from_the_merged_adapter(run: assembly.Run, tmp_path: Path) -> None:
    settings = config(f'model.adapter="{run.folder / "adapter"}"', "train.steps=1")
    second = rarl.train(settings, out=tmp_path / "second")
    before = tmp_path / "second" / "eval/before/phantom-test/records.jsonl"
    first_after = run.folder / "eval/phantom-test/records.jsonl"
    assert before.read_bytes() == first_after.read_bytes()
    card = json.loads((second.folder / "adapter" / "run_card.json").read_text())
    assert card["started_from_adapter"]


def test_evaluate_gives_the_records_of_the_run(run: assembly.Run, tmp_path: Path) -> None:
    limits = ["eval.limit=6", "rollout.max_new_tokens=12", "model.device=cpu"]
    adapter = str(run.folder / "adapter")
    rarl.evaluate("tiny", adapter=adapter, data="phantom", split="test", out=tmp_path / "eval", overrides=limits)
    assert (tmp_path / "eval/records.jsonl").read_bytes() == (
        run.folder / "eval/phantom-test/records.jsonl"
    ).read_bytes()


def test_several_samples_are_voted_on(tmp_path: Path) -> None:
    overrides = ["eval.limit=4", "eval.samples=3", "rollout.max_new_tokens=12", "eval.baselines=false"]
    rarl.evaluate("tiny", data="phantom", split="unseen-wording", out=tmp_path / "eval", overrides=overrides)
    assert [len(row["completions"]) for row in read_rows(tmp_path / "eval/records.jsonl")] == [3] * 4


def test_predict_answers_about_a_picture(tmp_path: Path) -> None:
    example = rarl.load_dataset("phantom", split="test", limit=1)[0]
    example.images[0].read().save(tmp_path / "image.png")
    prediction = rarl.predict("tiny", [tmp_path / "image.png"], "Which modality is this?")
    assert prediction.answer
    assert prediction.reasoning
    assert prediction.answer in prediction.text


def test_predict_leaves_nothing_of_the_picture_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    rarl.load_dataset("phantom", split="test", limit=1)[0].images[0].read().save(tmp_path / "image.png")
    rarl.predict(resolve_base("tiny"), [tmp_path / "image.png"], "Which modality is this?")
    assert not (tmp_path / "caches").exists()


@pytest.mark.parametrize(
    ("question", "why"), [(" ", "no question"), ("a <|im_end|> b", "must not contain"), ("\ud800", "Unicode")]
)
def test_a_question_that_cannot_be_asked_is_told_before_the_model_is_loaded(
    question: str, why: str, tmp_path: Path
) -> None:
    rarl.load_dataset("phantom", split="test", limit=1)[0].images[0].read().save(tmp_path / "image.png")
    with pytest.raises(DataError, match=why):
        rarl.predict("tiny", [tmp_path / "image.png"], question)


def test_trackers_get_the_numbers(tmp_path: Path) -> None:
    settings = config("eval.enabled=false", "train.steps=1", 'tracking.trackers=["tensorboard"]')
    rarl.train(settings, out=tmp_path / "run")
    events = (tmp_path / "run").rglob("events.out.tfevents*")
    assert b"reward/mean" in b"".join(file.read_bytes() for file in events)


def test_a_tracker_that_is_not_installed_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    if importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed")
    with pytest.raises(MissingExtraError, match="pip install wandb"):
        rarl.train(config('tracking.trackers=["wandb"]'), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["data.name=phantm"], RarlError, "unknown data set 'phantm'; did you mean 'phantom'"),
        (["data.split=trian"], DataError, "trian"),
        (["reward.weights={accuracy=1.0, speed=1.0}", "reward.gates={}"], RarlError, "unknown reward 'speed'"),
        (["reward.extra=['nowhere.py:f']"], RarlError, "nowhere.py does not exist"),
        (["rollout.engine=nativ"], RarlError, "unknown engine 'nativ'; did you mean 'native'"),
        (["judge.kind=rule"], RarlError, "unknown judge 'rule'; did you mean 'rules'"),
        (["model.base=./nowhere"], ModelError, "base model './nowhere' does not exist"),
        (["model.base=some/where"], ModelError, "hf download some/where"),
        (["lora.targets=['q']"], ModelError, "lora.targets"),
        (["prompt.pool=defalt"], ConfigError, "did you mean 'default'"),
        (["model.adapter=./nowhere"], ModelError, "is no adapter"),
        (["model.device=gpu"], ModelError, "use auto, cpu, cuda"),
        (["run.method=sft", "sft.target=rationale", "data.name=vqa-rad", "data.root=./nowhere"], DataError, "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    overrides: list[str], error: type[RarlError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        rarl.train(config(*overrides), out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_exists_is_not_overwritten(run: assembly.Run) -> None:
    before = (run.folder / "metrics.jsonl").read_bytes()
    with pytest.raises(RunFolderError, match="exists already and is not overwritten"):
        rarl.train(config(), out=run.folder)
    assert (run.folder / "metrics.jsonl").read_bytes() == before


def test_a_base_without_its_processor_says_what_it_needs(tmp_path: Path) -> None:
    from rarl.assets import TINY

    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (tmp_path / name).write_bytes((TINY / name).read_bytes())
    with pytest.raises(ModelError, match=r"no usable processor.*preprocessor_config\.json"):
        rarl.train(config(f'model.base="{tmp_path}"'), out=tmp_path / "run")


def test_a_reward_that_cannot_apply_is_named_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "plain.py").write_text(
        "from dataclasses import replace\n"
        "from rarl.data.phantom import load\n"
        "def plain(split, limit=None):\n"
        "    for example in load(split, limit=limit):\n"
        "        yield replace(example, facts=(), rationale=None)\n"
    )
    settings = config(f'data.name="{tmp_path / "plain.py"}:plain"', "eval.enabled=false", "train.steps=1")
    with caplog.at_level(logging.WARNING):
        rarl.train(settings, out=tmp_path / "run")
    assert "reward grounding applies to none of 6 examples" in caplog.text


def test_a_judge_that_no_reward_asks_is_told_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "silent.py").write_text("def judge(queries):\n    raise AssertionError\n")
    judge, short = f'judge.kind="{tmp_path / "silent.py"}:judge"', ("eval.enabled=false", "train.steps=1")
    for weights, told in (
        ('{"format"=1.0}', True),
        ('{"format"=1.0, "grounding"=0.0}', True),
        ('{"grounding"=1.0}', False),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            settings = config(judge, f"reward.weights={weights}", "reward.gates={}", *short)
            rarl.train(settings, out=tmp_path / f"run-{len(weights)}")
        assert ("no reward asks the judge" in caplog.text) is told


def test_micro_batches_are_cut_to_the_memory_and_the_run_remembers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = RunConfig.load("configs/quickstart.toml").override(["train.tokens_per_batch=60000"])
    assert settled(config) == config
    monkeypatch.setattr("rarl.planning._memory_of", lambda device: 2_400_000_000)
    cut = settled(config).train.tokens_per_batch
    assert 1000 < cut < 60000
    assert f"train.tokens_per_batch is {cut} in this run" in caplog.text
    assert settled(RunConfig.load("configs/quickstart.toml")).train.tokens_per_batch == min(cut, 16384)
    monkeypatch.setattr("rarl.planning._memory_of", lambda device: 410_000_000)
    caplog.clear()
    assert settled(config) == config  # not one completion fits, so no smaller number helps, and that is said
    assert "this run needs" in caplog.text
