"""Numbers gone bad, injected into the second step of a run that was sound until then."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import small_model
from rarl.config import RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.errors import GuardError, RarlError
from rarl.files import read_rows
from rarl.policy.logprobs import TokenLogprobs
from rarl.prompting import load_pool
from rarl.rewards import RewardLog
from rarl.runlog import RunFolder
from rarl.training.batches import Batches
from rarl.training.grpo import Grpo
from rarl.training.guards import Guards, anchors, worth_keeping
from rarl.training.learner import Learner, Standing
from rarl.training.loop import Clock
from rarl.types import Example, Rollout, Score

EXAMPLES = [small_model.prompt(f"Question {i}?", images=i, seed=i).example for i in range(2)]
SMALL = ["rollout.group_size=3", "rollout.max_new_tokens=6", "rollout.prompts_per_step=2", "train.warmup_steps=0"]
SMALL += ["checkpoint.every_steps=1", "guards.entropy.steps=1", "guards.no_signal.steps=1", "guards.unscored.limit=0.4"]
GUARDS = ("nonfinite", "kl", "entropy", "no_signal", "unscored")


class Rewards:
    """The share of tokens in the lower half of the vocabulary, until told otherwise."""

    def __init__(self) -> None:
        self.total: Callable[[Rollout], float | None] = lambda rollout: sum(t < 160 for t in rollout.token_ids) / 6

    def take_log(self) -> RewardLog:
        return RewardLog()

    def failed_on(self, score: Score) -> bool:
        return score.total is None

    def score(self, rollouts: Sequence[Rollout], step: int) -> list[Score]:
        return [Score(total, {"made_up": total}) for total in map(self.total, rollouts)]


class Trial:
    """A run of which every step is saved, as training would."""

    def __init__(self, path: Path, *overrides: str) -> None:
        config = RunConfig().override([*SMALL, *overrides])
        self.folder = RunFolder.create(path, config)
        self.policy, self.rewards = small_model.policy(), Rewards()
        self.learner = Learner(self.policy, config.train)
        guards = Guards(config, self.learner, self.folder)
        self.method = Grpo(
            *(self.policy, NativeEngine(self.policy), self.learner, Batches(EXAMPLES, 2, Draws(0))),
            *(load_pool("default"), self.rewards, config, self.folder.append_rollouts, guards.allow),  # type: ignore[arg-type]
        )
        self.save()

    def save(self) -> None:
        with self.folder.checkpoints.write(self.learner.step) as path:
            self.learner.save(path, {})

    def step(self) -> dict[str, float | None]:
        values = self.method.step(self.learner.step, EXAMPLES, Clock())
        self.learner.finish(self.learner.step, values)
        self.save()
        return values

    def state(self) -> dict[str, bytes]:
        """Adapter and optimizer as they are on disk for the step that the learner has reached."""
        path = self.folder.path / "state"
        self.learner.save(path, {})
        return {
            name: (path / name).read_bytes() for name in ("adapter/adapter_model.safetensors", "optimizer.safetensors")
        }

    def rows(self) -> list[dict[str, Any]]:
        return list(read_rows(self.folder.path / "guards.jsonl"))


def spoil(trial: Trial, guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the guard's numbers are bad, those of the others are not."""
    policy = trial.policy
    logprobs = policy.logprobs

    def not_a_number(batch: Any, temperature: float, *, adapted: bool = True) -> TokenLogprobs:
        found = logprobs(batch, temperature, adapted=adapted)
        if not adapted:
            return found
        first_B1 = (torch.arange(len(found.logprobs)) == 0)[:, None]
        return TokenLogprobs(torch.where(first_B1, math.nan, found.logprobs), found.entropy)

    def certain(batch: Any, temperature: float, *, adapted: bool = True) -> TokenLogprobs:
        found = logprobs(batch, temperature, adapted=adapted)
        return TokenLogprobs(found.logprobs, found.entropy * 1e-4)

    def far(batch: Any, temperature: float) -> torch.Tensor:
        with torch.no_grad():
            return logprobs(batch, temperature).logprobs + 5.0 * batch.mask_BT

    if guard == "nonfinite":
        monkeypatch.setattr(policy, "logprobs", not_a_number)
    elif guard == "kl":
        monkeypatch.setattr(policy, "reference_logprobs", far)
    elif guard == "entropy":
        monkeypatch.setattr(policy, "logprobs", certain)
    elif guard == "no_signal":
        trial.rewards.total = lambda rollout: 0.5
    else:
        sound = trial.rewards.total
        trial.rewards.total = lambda rollout: sound(rollout) if rollout.prompt.example.id == "e0" else None


@pytest.fixture
def spoilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[Trial, str, str]:
    guard, action = request.param
    trial = Trial(tmp_path / "run", f"guards.{guard}.action={action}")
    trial.step()
    assert not trial.rows()
    spoil(trial, guard, monkeypatch)
    return trial, guard, action


def actions(*names: str) -> Any:
    pairs = [(guard, name) for guard in GUARDS for name in names]
    return pytest.mark.parametrize("spoilt", pairs, indirect=True, ids=[f"{guard}-{name}" for guard, name in pairs])


def require_logged(trial: Trial, guard: str, action: str) -> dict[str, Any]:
    """One firing of step 2, whose rows are completions of that step."""
    [row] = trial.rows()
    assert (row["step"], row["guard"], row["action"]) == (2, guard, action)
    logged = [each for each in read_rows(trial.folder.path / "rollouts.jsonl") if each["step"] == 2]
    known = {(each["id"], each["template"], each["seed"], each["tokens"]): each for each in logged}
    assert len(known) == 6
    caused = [known[tuple(each[name] for name in ("id", "template", "seed", "tokens"))] for each in row["rows"]]
    if guard == "nonfinite":
        assert len(caused) == 1
    elif guard == "unscored":
        assert caused == [each for each in logged if each["total"] is None]
        assert (row["value"], row["limit"]) == (0.5, 0.4)
    else:
        assert len(caused) == 6
    if guard == "kl":  # every log-prob is 5 below the reference's
        assert row["value"] == pytest.approx(math.exp(5) - 6, rel=1e-3)
        assert row["limit"] == 10.0
    return row


@actions("skip")
def test_a_step_that_is_skipped_leaves_everything_as_it_was(spoilt: tuple[Trial, str, str]) -> None:
    trial, guard, action = spoilt
    before = trial.state()
    values = trial.step()
    assert trial.state() == before
    assert all(parameter.grad is None for parameter in trial.policy.trainable())
    assert trial.learner.step == 2, "it counts as a step"
    json.dumps(values, allow_nan=False)
    assert values["lr"] is None
    assert values["loss"] is None if guard == "nonfinite" else values["loss"] is not None
    assert values["completion/tokens"] is not None
    require_logged(trial, guard, action)


@actions("stop")
def test_a_run_that_is_stopped_says_what_it_was_and_how_to_go_on(spoilt: tuple[Trial, str, str]) -> None:
    trial, guard, action = spoilt
    before = trial.state()
    with pytest.raises(
        GuardError, match=rf"^step 2: .*guards\.jsonl; .*guards\.{guard}.*go on from step 1 with"
    ) as raised:
        trial.step()
    assert raised.value.exit_code == 3
    assert f"rarl train --resume {trial.folder.path}" in str(raised.value)
    assert f"from step 0 with guards.{guard}.action=roll-back" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert trial.state() == before
    assert trial.learner.between_steps, "what was before it may be saved"
    require_logged(trial, guard, action)


@actions("roll-back")
def test_a_roll_back_takes_the_state_from_before_and_goes_on(
    spoilt: tuple[Trial, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, guard, action = spoilt
    trial.step()
    start = trial.folder.checkpoints.all()[0].path
    assert all((start / name).read_bytes() == found for name, found in trial.state().items())
    assert trial.learner.step == 2
    assert require_logged(trial, guard, action)["to"] == 0
    monkeypatch.undo()
    trial.rewards.total = Rewards().total
    assert trial.step()["lr"] is not None
    assert len(trial.rows()) == 1


@actions("off")
def test_a_guard_that_is_off_sees_nothing(spoilt: tuple[Trial, str, str]) -> None:
    trial, guard, _ = spoilt
    before = trial.state()
    if guard == "nonfinite":  # is never applied all the same
        with pytest.raises(RarlError, match="nan") as raised:
            trial.step()
        assert not isinstance(raised.value, GuardError)
        assert trial.state() == before
    else:
        trial.step()
        assert trial.state() != before
    assert not trial.rows()


def test_a_gradient_alone_may_be_bad(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run")
    trial.step()
    hook = trial.policy.trainable()[0].register_hook(lambda grad: grad * math.inf)
    before, values = trial.state(), trial.step()
    assert trial.state() == before
    assert values["loss"] is not None
    assert values["grad_norm"] is None
    [row] = trial.rows()
    assert row["says"] in ("the gradient is nan", "the gradient is inf")
    assert len(row["rows"]) == 6, "which of them it was can't be told"
    hook.remove()


def test_in_a_later_update_it_drops_that_and_those_that_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once, trial = Trial(tmp_path / "once"), Trial(tmp_path / "run", "train.updates_per_batch=3")
    once.step()
    update, asked = trial.learner.update, []

    def bad_second(allowed: Callable[[float], bool]) -> tuple[float, float | None]:
        asked.append(allowed)
        if len(asked) == 2:
            trial.policy.trainable()[0].grad.fill_(math.nan)
        return update(allowed)

    monkeypatch.setattr(trial.learner, "update", bad_second)
    values = trial.step()
    assert len(asked) == 2
    assert trial.state() == once.state()
    assert values["lr"] is not None
    [row] = trial.rows()
    assert (row["guard"], row["action"]) == ("nonfinite", "skip")


def test_too_many_skipped_in_a_row_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(tmp_path / "run", "guards.skips=2")
    trial.step()
    with monkeypatch.context() as patch:
        spoil(trial, "nonfinite", patch)
        trial.step()
        trial.step()
    trial.step()  # a sound one: the count begins anew
    spoil(trial, "nonfinite", monkeypatch)
    trial.step()
    trial.step()
    with pytest.raises(GuardError, match=r"step 7: .*after 2 steps skipped in a row \(guards\.skips\)"):
        trial.step()
    assert [row["action"] for row in trial.rows()] == ["skip"] * 4 + ["stop"]


def test_too_many_roll_backs_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(tmp_path / "run", "guards.unscored.action=roll-back", "guards.roll_backs=2")
    spoil(trial, "unscored", monkeypatch)
    trial.step()
    trial.step()
    with pytest.raises(GuardError, match=r"step 3: .*after 2 roll-backs \(guards\.roll_backs\)"):
        trial.step()


def test_without_a_checkpoint_from_before_a_roll_back_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(tmp_path / "run", "guards.unscored.action=roll-back")
    for checkpoint in trial.folder.checkpoints.all():
        (checkpoint.path / "optimizer.safetensors").write_bytes(b"damaged")
    spoil(trial, "unscored", monkeypatch)
    with pytest.raises(GuardError, match="no sound checkpoint is there to go back to"):
        trial.step()


def test_a_guard_counts_steps_in_a_row_and_goes_back_to_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(tmp_path / "run", "guards.entropy.steps=3", "guards.entropy.action=roll-back")
    with monkeypatch.context() as patch:
        spoil(trial, "entropy", patch)
        trial.step()
        trial.step()
    trial.step()  # higher: the count begins anew
    assert trial.learner.standing.since == {}
    trial.step()
    spoil(trial, "entropy", monkeypatch)
    trial.step()
    resumed = Trial(tmp_path / "other", "guards.entropy.steps=3", "guards.entropy.action=roll-back")
    resumed.learner.load(trial.folder.checkpoints.all()[-1].path)
    assert resumed.learner.standing == trial.learner.standing == Standing({"entropy": 5})
    trial.step()
    assert not trial.rows()
    trial.step()
    [row] = trial.rows()
    assert (row["step"], row["to"]) == (7, 3), "the weights of step 4 are those that step 5 found bad"
    assert trial.learner.standing == Standing({}, [(7, 3)])


def test_where_nothing_could_be_scored_there_is_no_lack_of_signal(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run", "guards.unscored.action=off")
    trial.rewards.total = lambda rollout: None
    trial.step()
    assert not trial.rows()


def test_where_a_roll_back_may_lead() -> None:
    steps, fresh = [0, 10, 15, 20, 30], Standing()
    assert list(anchors(steps, 10, fresh, begin=31)) == [20, 10, 0], "not what is bad, nor what the clock has saved"
    assert list(anchors(steps, 10, fresh, begin=32)) == [30, 20, 10, 0]
    assert list(anchors(steps, 10, fresh, begin=1)) == [0]
    assert list(anchors([1, 2, 3], 0, fresh, begin=9)) == [], "without a schedule there is only the start"
    gone_back = Standing({}, [(34, 10)])
    assert list(anchors([*steps, 34], 10, gone_back, begin=40)) == [34, 10, 0], "what was left behind is not taken"
    assert worth_keeping(steps, 10, Standing({"entropy": 12}), step=30) == {10, 20}


def test_supervised_steps_have_a_loss_and_a_gradient(tmp_path: Path) -> None:
    from rarl.training.supervised import Supervised

    config = RunConfig().override([*SMALL, "run.method=sft"])
    policy = small_model.policy()
    learner, folder = Learner(policy, config.train), RunFolder.create(tmp_path / "run", config)
    method = Supervised(policy, learner, load_pool("default"), config, Guards(config, learner, folder).allow)
    before = [parameter.detach().clone() for parameter in policy.trainable()]
    policy.trainable()[0].register_hook(lambda grad: grad * math.nan)
    examples: list[Example] = EXAMPLES
    values = method.step(0, examples, Clock())
    assert (values["grad_norm"], values["lr"]) == (None, None)
    assert all(torch.equal(a, b) for a, b in zip(before, policy.trainable(), strict=True))
    [row] = read_rows(folder.path / "guards.jsonl")
    assert {each["id"] for each in row["rows"]} == {"e0", "e1"}
