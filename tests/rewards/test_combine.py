import asyncio
import itertools
import logging
import time
from dataclasses import replace

import pytest

from rarl.config import RewardSection
from rarl.errors import RarlError, RewardError
from rarl.rewards import Scorer
from rarl.types import Shape

DEFAULT = RewardSection()


@pytest.fixture
def default() -> Scorer:
    return Scorer(DEFAULT.weights, DEFAULT.gates)


@pytest.fixture
def own(tmp_path):
    """own(source) -> the path of a file with that source."""
    numbers = itertools.count()

    def write(source: str) -> str:
        path = tmp_path / f"my{next(numbers)}.py"
        path.write_text(source)
        return str(path)

    return write


# Totals, by hand: w_f = 0.1, w_a = 1, w_g = 0.4 (x format), ...


def test_total_by_hand():
    scorer = Scorer(
        {"format": 0.2, "accuracy": 1.0, "grounding": 0.4, "consistency": 0.0},
        {"grounding": ("format", "consistency"), "accuracy": ()},
    )
    parts = {"format": 0.5, "accuracy": 1.0, "grounding": 0.8, "consistency": 0.5}
    assert scorer.total(parts) == pytest.approx(0.2 * 0.5 + 1.0 + 0.4 * 0.8 * 0.5 * 0.5)
    # an absent part is absent, in the sum and as a gate
    assert scorer.total({"format": 0.5, "accuracy": 1.0}) == pytest.approx(0.1 + 1.0)
    assert scorer.total({"format": 0.5, "accuracy": 1.0, "grounding": 0.8}) == pytest.approx(0.1 + 1.0 + 0.16)
    # a weighted part that failed, or a gate of one, leaves no total; an unweighted one does
    assert scorer.total({**parts, "accuracy": None}) is None
    assert scorer.total({**parts, "consistency": None}) is None
    assert Scorer({"accuracy": 1.0, "substance": 0.0}).total({"accuracy": 1.0, "substance": None}) == 1.0
    # nothing that counts is there: not scored, rather than 0
    assert scorer.total({}) is None


def test_a_gate_of_a_part_without_weight_is_ignored():
    assert Scorer({"format": 0.1}, {"grounding": ("format",)}).total({"format": 1.0}) == pytest.approx(0.1)


def test_unknown_reward_is_an_error_with_the_nearest_name():
    with pytest.raises(RarlError, match="'grounding'"):
        Scorer({"groundin": 1.0})


def test_parts_that_do_not_apply_are_absent_for_the_whole_group(default, rollout, gold, example):
    direct, think = default.score(
        [
            rollout("<answer> tuberculosis </answer>", shape=Shape.DIRECT),
            rollout(f"<think> {gold} </think> <answer> tuberculosis </answer>"),
        ]
    )
    assert set(direct.parts) == {"format", "accuracy"}
    assert direct.total == pytest.approx(DEFAULT.weights["format"] + DEFAULT.weights["accuracy"])
    assert set(think.parts) == {"format", "accuracy", "grounding", "consistency", "substance"}
    # what substance the gold text has (test_substance.py) gates the others of reasoning
    assert think.total == pytest.approx(0.1 + 1.0 + (0.4 + 0.2 + 0.1) * (0.8 + 0.2 * 8 / 13))


def test_nothing_to_score(default):
    assert default.score([]) == []


# What the defaults promise: quality never outweighs being wrong.


def worst_right_and_best_wrong(scorer: Scorer) -> tuple[float, float]:
    """Over the whole range of parts: a right answer may have nothing else, a wrong open one has partial credit."""
    from rarl.rewards.accuracy import PARTIAL

    quality = ("grounding", "consistency", "substance")
    right = scorer.total({"format": 0.25, "accuracy": 1.0, **dict.fromkeys(quality, 0.0)})
    wrong = scorer.total({"format": 1.0, "accuracy": PARTIAL, **dict.fromkeys(quality, 1.0)})
    assert right is not None
    assert wrong is not None
    return right, wrong


def test_by_default_the_best_wrong_completion_earns_less_than_the_worst_right_one(default):
    right, wrong = worst_right_and_best_wrong(default)
    assert wrong < right


def test_a_fluent_wrong_completion_earns_less_than_a_plain_right_one(default, rollout, gold, example):
    fluent = gold.replace("tuberculosis", "pneumonia")  # everything else is true
    wrong, *right = default.score(
        [
            rollout(f"<think> {fluent} </think> <answer> pneumonia </answer>"),
            rollout("<think> x </think> <answer> tuberculosis </answer>"),
            rollout("<answer> tuberculosis </answer>"),
            rollout("The answer: <answer> tuberculosis </answer> <think> ? </think>"),
        ]
    )
    assert all(plain.total > wrong.total for plain in right)


def test_among_right_ones_the_better_reasoned_wins(default, rollout, gold):
    texts = [gold, gold.replace("left", "right"), "It is tuberculosis.", "."]
    scores = default.score([rollout(f"<think> {text} </think> <answer> tuberculosis </answer>") for text in texts])
    totals = [score.total for score in scores]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) == len(totals)


# The user's own rewards.


def test_values_so_large_that_sums_would_overflow_are_not_scores(own, rollout):
    path = own(
        "def vast(completions, log_metric):\n    log_metric('size', 1e308)\n    log_metric('size', 2)\n"
        "    return [1e308, -1e13, 1e12, -3.5]\n"
    )
    scorer = Scorer({}, extra=[f"{path}:vast"])
    assert [score.total for score in scorer.score([rollout("x")] * 4)] == [None, None, 1e12, -3.5]
    log = scorer.take_log()
    assert log.failed == {"vast": 2, "size": 1}
    assert log.metrics == {"size": [2.0]}


def test_a_total_that_weights_or_gates_bring_out_of_range_is_none_and_counted():
    scorer = Scorer({"accuracy": 1e200, "format": 1.0}, {"format": ("grounding", "substance")})
    assert scorer.total({"accuracy": 1.0, "format": 1.0}) is None
    assert scorer.total({"accuracy": 0.0, "format": 1e12, "grounding": 1e12, "substance": 1e12}) is None
    assert scorer.take_log().failed == {"total": 2}
    assert scorer.total({"accuracy": 0.0, "format": -1e12}) == -1e12


def test_an_own_reward_is_called_as_trl_does(own, rollout, example):
    path = own(
        "seen = {}\n"
        "def mine(prompts, completions, completion_ids, answer, trainer_state, **kwargs):\n"
        "    seen.update(kwargs, prompts=prompts, ids=completion_ids, answer=answer, step=trainer_state.global_step)\n"
        "    return [len(c[0]['content']) for c in completions]\n"
    )
    scorer = Scorer({"accuracy": 1.0}, extra=[f"{path}:mine"])
    (score,) = scorer.score([rollout("<answer> tuberculosis </answer>")], step=12)
    assert score.parts["mine"] == 31.0
    assert score.total == 32.0  # weight 1 unless the weights name it
    from rarl.registry import rewards

    seen = rewards.get(f"{path}:mine").__globals__["seen"]
    assert seen["step"] == 12
    assert seen["ids"] == [[5, 6]]
    assert seen["answer"] == ["tuberculosis"]
    assert seen["prompts"][0][0]["role"] == "user"
    assert seen["task"] == ["diagnosis"]
    assert seen["facts"][0][0] == {
        "name": "modality",
        "value": "chest X-ray",
        "alternatives": ["chest X-ray", "head CT", "brain MRI", "ultrasound"],
    }
    assert not {"log_extra", "log_metric"} & set(seen)  # only for those who name them


def test_weight_by_function_name_and_only_named_arguments(own, rollout):
    path = own("def short(completions):\n    return [0.5 for _ in completions]\n")
    (score,) = Scorer({"short": 2.0}, extra=[f"{path}:short"]).score([rollout("x")])
    assert score.total == 1.0


def test_coroutines_run_side_by_side_also_under_a_running_loop(own, rollout):
    path = own(
        "import asyncio\n"
        "gate = asyncio.Barrier(2)\n"  # opens only when both are in it at once
        "async def first(completions, **kwargs):\n"
        "    await asyncio.wait_for(gate.wait(), 5)\n"
        "    return [0.25 for _ in completions]\n"
        "async def second(completions, **kwargs):\n"
        "    await asyncio.wait_for(gate.wait(), 5)\n"
        "    return [0.75 for _ in completions]\n"
    )
    scorer = Scorer({}, extra=[f"{path}:first", f"{path}:second"])

    async def notebook():
        return scorer.score([rollout("x")])

    (score,) = asyncio.run(notebook())
    assert score.parts == {"first": 0.25, "second": 0.75}


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_exception_leaves_its_rows_unscored_counted_and_named(own, rollout, example, caplog, kind):
    path = own(
        f"{kind} fragile(completions, **kwargs):\n    return [1 / len(c[0]['content'].strip()) for c in completions]\n"
    )
    scorer = Scorer({"accuracy": 1.0}, extra=[f"{path}:fragile"])
    with caplog.at_level(logging.WARNING):
        scores = scorer.score([rollout("ab"), rollout(" "), rollout("abcd")])
    assert [score.parts["fragile"] for score in scores] == [0.5, None, 0.25]
    assert [score.total for score in scores] == [0.5, None, 0.25]  # never 0 for what could not be scored
    (record,) = caplog.records
    assert "'fragile' failed on 1 of 3" in record.getMessage()
    assert "'row-7': ZeroDivisionError" in record.getMessage()
    assert scorer.take_log().failed == {"fragile": 1}
    assert scorer.take_log().failed == {}


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_reward_that_exits_is_one_that_failed(own, rollout, caplog, kind):
    path = own(
        f"import sys\n{kind} leaving(completions, **kwargs):\n"
        "    return [1.0 if c[0]['content'] == 'a' else sys.exit('no licence') for c in completions]\n"
    )
    scorer = Scorer({}, extra=[f"{path}:leaving"])
    assert [score.total for score in scorer.score([rollout("a"), rollout("b")])] == [1.0, None]
    assert "'leaving' failed on 1 of 2" in caplog.text
    assert "SystemExit: no licence" in caplog.text
    assert scorer.take_log().failed == {"leaving": 1}


@pytest.mark.parametrize(("kind", "wait"), [("def", "time.sleep(60)"), ("async def", "await asyncio.sleep(60)")])
def test_a_reward_that_hangs_leaves_its_rows_unscored_and_is_not_called_again(own, rollout, caplog, kind, wait):
    """It catches whatever it can; the others' values stay."""
    path = own(
        f"import asyncio, time\ncalls = []\n{kind} hanging(completions, log_metric, **kwargs):\n"
        f"    log_metric('calls', 1)\n    try:\n        {wait}\n    except Exception:\n        pass\n"
        "    return [1.0 for _ in completions]\n"
        "def quick(completions, **kwargs):\n    return [0.5 for _ in completions]\n"
    )
    scorer = Scorer({}, extra=[f"{path}:hanging", f"{path}:quick"], timeout=0.1)
    started = time.monotonic()
    scores = scorer.score([rollout("a"), rollout("b")])
    assert time.monotonic() - started < 30
    assert [score.parts for score in scores] == [{"hanging": None, "quick": 0.5}] * 2
    assert [score.total for score in scores] == [None, None]
    log = scorer.take_log()
    assert (log.failed, log.metrics) == ({"hanging": 2}, {"calls": [1.0]})
    assert "'hanging' failed on 2 of 2" in caplog.text
    assert "took longer than 0.1 s" in caplog.text
    with pytest.raises(RewardError, match=r"'hanging' failed on example 'row-7': OverTimeError: took longer"):
        Scorer({}, extra=[f"{path}:hanging"], timeout=0.1, on_error="stop").score([rollout("a")])


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_interrupt_is_no_failure_of_a_reward(own, rollout, kind):
    path = own(f"{kind} stopped(completions, **kwargs):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        Scorer({}, extra=[f"{path}:stopped"]).score([rollout("a")])


def test_an_applies_that_raises_leaves_its_rows_unscored_counted_and_named(own, rollout, example, caplog):
    path = own(
        "def mine(completions, **kwargs):\n    return [1.0 for _ in completions]\n"
        "mine.applies = lambda modality, **row: modality.startswith('chest')\n"
    )
    unknown, other = (replace(example, id=f"row-{m}", modality=m) for m in (None, "ultrasound"))
    scorer = Scorer({}, extra=[f"{path}:mine"])
    scores = scorer.score([rollout("a"), rollout("a", unknown), rollout("a", unknown), rollout("a", other)])
    assert [score.parts for score in scores] == [{"mine": 1.0}, {"mine": None}, {"mine": None}, {}]
    (record,) = caplog.records
    assert "'mine' failed on 2 of 4" in record.getMessage()
    assert "'row-None': AttributeError" in record.getMessage()
    assert scorer.take_log().failed == {"mine": 2}
    # at the start: not known to be unused, told, and not counted for the first step
    assert scorer.unused([unknown, other], [Shape.THINK]) == []
    assert len(caplog.records) == 2
    assert scorer.take_log().failed == {}


def test_an_applies_that_is_no_function_is_an_error_at_once(own):
    path = own("def mine(completions): ...\nmine.applies = True\n")
    with pytest.raises(RewardError, match="'mine': its attribute `applies` must be a function, not True"):
        Scorer({}, extra=[f"{path}:mine"])


def test_numbers_that_are_none_are_not_scores(own, rollout):
    path = own("def odd(completions, **kwargs):\n    return [float('nan'), None, float('inf'), 1]\n")
    scorer = Scorer({}, extra=[f"{path}:odd"])
    scores = scorer.score([rollout("x")] * 4)
    assert [score.total for score in scores] == [None, None, None, 1.0]
    assert scorer.take_log().failed == {"odd": 2}


@pytest.mark.parametrize("result", ["[0.5, 0.5]", "0.5", "['high']", "{'a': 1}"])
def test_a_result_of_the_wrong_form_is_an_error_that_names_the_reward(own, rollout, result):
    path = own(f"def wrong(completions, **kwargs):\n    return {result}\n")
    with pytest.raises(RewardError, match="'wrong'"):
        Scorer({}, extra=[f"{path}:wrong"]).score([rollout("x")])


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_exception_stops_where_that_is_asked_for(own, rollout, kind):
    path = own(f"{kind} fragile(completions, **kwargs):\n    return [1 / len(c[0]['content']) for c in completions]\n")
    scorer = Scorer({}, extra=[f"{path}:fragile"], on_error="stop")
    assert [score.total for score in scorer.score([rollout("ab")])] == [0.5]
    scorer.take_log()
    with pytest.raises(RewardError, match=r"'fragile' failed on example 'row-7': ZeroDivisionError.*on_error"):
        scorer.score([rollout("ab"), rollout("")])


def test_parts_with_their_gates_by_hand():
    scorer = Scorer({"format": 0.2, "accuracy": 1.0, "grounding": 0.4, "substance": 0.0}, {"grounding": ("format",)})
    parts = {"format": 0.5, "accuracy": 1.0, "grounding": 0.8, "substance": 1.0}
    assert scorer.gated(parts) == {"format": 0.5, "accuracy": 1.0, "grounding": pytest.approx(0.4)}
    assert scorer.gated({**parts, "format": None}) is None
    assert scorer.gated({}) == {}


def test_an_argument_that_there_is_not_is_an_error_at_once(own):
    path = own("def needy(completions, temperature):\n    return []\n")
    with pytest.raises(RewardError, match="'temperature'"):
        Scorer({}, extra=[f"{path}:needy"])


def test_two_rewards_of_one_name_are_an_error(own):
    first, second = own("def f(completions): ...\n"), own("def f(completions): ...\n")
    with pytest.raises(RewardError, match="rename"):
        Scorer({}, extra=[f"{first}:f", f"{second}:f"])
    path = own("def accuracy(completions): ...\n")
    with pytest.raises(RewardError, match="rename"):
        Scorer({}, extra=[f"{path}:accuracy"])


def test_hooks_of_trl_are_collected(own, rollout):
    path = own(
        "def talkative(completions, log_extra, log_metric):\n"
        "    log_extra('length', [len(c[0]['content']) for c in completions])\n"
        "    log_metric('calls', 1)\n"
        "    return [0.0 for _ in completions]\n"
    )
    scorer = Scorer({}, extra=[f"{path}:talkative"])
    scorer.score([rollout("abc"), rollout("a")])
    log = scorer.take_log()
    assert log.extra == {"length": [3, 1]}
    assert log.metrics == {"calls": [1.0]}


def test_own_applies_makes_a_part_absent(own, rollout):
    path = own(
        "def side_only(completions, **kwargs):\n    return [1.0 for _ in completions]\n"
        "side_only.applies = lambda task=None, **row: task == 'side'\n"
        "side_only.needs = 'a question of the task side'\n"
    )
    scorer = Scorer({"accuracy": 1.0}, extra=[f"{path}:side_only"])
    (score,) = scorer.score([rollout("<answer> tuberculosis </answer>")])
    assert score.parts == {"accuracy": 1.0}
    assert score.total == 1.0


# The warning at the start.


def test_unused_names_rewards_that_can_never_apply(default, example):
    bare = replace(example, facts=(), rationale=None)
    assert default.unused([example], [Shape.THINK]) == []
    assert default.unused([bare, example], [Shape.DIRECT, Shape.THINK]) == []
    ((name, why),) = default.unused([bare, bare], [Shape.THINK])
    assert name == "grounding"
    assert "none of 2 examples" in why
    assert "facts or a reference rationale" in why
    assert [name for name, _ in default.unused([example], [Shape.DIRECT])] == ["grounding", "consistency", "substance"]
    assert Scorer({"grounding": 0.0, "accuracy": 1.0}).unused([bare], [Shape.THINK]) == []


@pytest.mark.parametrize(
    "body",
    [
        "import torch\ndef f(completions): return torch.tensor(1.0)",
        "def f(completions): return [10**400] * len(completions)",
    ],
)
def test_a_result_beyond_numbers_is_an_error(tmp_path, rollout, body):
    (tmp_path / "mine.py").write_text(body)
    scorer = Scorer({}, extra=[f"{tmp_path / 'mine.py'}:f"])
    with pytest.raises(RewardError, match="'f'"):
        scorer.score([rollout("a"), rollout("b")])


def test_arguments_by_position_only_are_an_error_at_once(tmp_path):
    (tmp_path / "mine.py").write_text("def f(prompts, completions, /): return [1.0] * len(completions)")
    with pytest.raises(RewardError, match="'prompts' by position only"):
        Scorer({}, extra=[f"{tmp_path / 'mine.py'}:f"])


def test_what_one_reward_does_to_its_lists_no_other_sees(tmp_path, rollout):
    (tmp_path / "mine.py").write_text(
        "def f(completions, answer):\n    n = len(completions)\n"
        "    completions.clear()\n    answer.clear()\n    return [1.0] * n\n"
    )
    scorer = Scorer({"format": 1.0}, extra=[f"{tmp_path / 'mine.py'}:f"])
    assert [score.parts["f"] for score in scorer.score([rollout("a"), rollout("b")])] == [1.0, 1.0]
