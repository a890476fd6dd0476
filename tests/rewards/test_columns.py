import json
from types import SimpleNamespace

import pytest

from rarl.config import RewardSection
from rarl.registry import rewards as registry
from rarl.rewards import Scorer
from rarl.rewards.columns import COLUMNS, columns, rowwise, text_of
from rarl.rewards.probing import _values
from rarl.types import Example, Shape
from rewards.conftest import complete

NAMES = tuple(RewardSection().weights)
THINK = "<think> This is a chest X-ray with one lesion. </think> <answer> tuberculosis </answer>"


def test_columns_are_json_and_lose_nothing(rollout, example):
    prompts = [rollout("", shape=shape).prompt for shape in (Shape.THINK, Shape.DIRECT)]
    table = columns(prompts)
    assert tuple(table) == COLUMNS
    assert json.loads(json.dumps(table)) == table
    assert table["shape"] == ["think", "direct"]
    assert table["kind"] == ["mcq", "mcq"]
    assert table["answer"] == [example.answer] * 2
    assert table["references"] == [[], []]
    assert [(f["name"], f["value"], tuple(f["alternatives"])) for f in table["facts"][0]] == [
        (fact.name, fact.value, fact.alternatives) for fact in example.facts
    ]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ("plain", "plain"),
        ([{"role": "assistant", "content": "one"}], "one"),
        ([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "two"}]}], "two"),
        ([{"role": "assistant", "content": None}], ""),
        ([], ""),
        (None, ""),
    ],
)
def test_text_of_messages(messages, text):
    assert text_of(messages) == text


def test_strings_and_messages_score_alike(rollout):
    table = columns([rollout(THINK).prompt])
    prompt = rollout(THINK).prompt
    for name in NAMES:
        reward = registry.get(name)
        plain = reward([text_of(prompt.messages)], [THINK], **table)
        assert reward([list(prompt.messages)], [[{"role": "assistant", "content": THINK}]], **table) == plain


def test_missing_optional_columns_are_tolerated():
    only = {"question": ["What does this suggest?"], "answer": ["tuberculosis"]}
    values = {name: registry.get(name)(["What does this suggest?"], [THINK], **only)[0] for name in NAMES}
    assert values["format"] == values["accuracy"] == 1.0
    assert values["grounding"] is None  # nothing to check against
    assert values["consistency"] is not None
    assert values["substance"] is not None
    assert registry.get("accuracy")([""], [THINK]) == [None]  # no gold answer, so no score, rather than 0
    assert registry.get("format")([""], [THINK]) == [1.0]


def test_rowwise_gives_a_reward_of_ones_own(rollout):
    @rowwise(applies=lambda task=None, **row: task == "diagnosis", needs="a diagnosis")
    def short(row):
        return float(len(row.completion) < 10)

    assert short.__name__ == "short"
    assert short(["", ""], ["short", "far too long"], task=["diagnosis", "side"]) == [1.0, None]


# Inside TRL: its own method calls our functions, with the columns of its data set.


@pytest.fixture(scope="module")
def calculate_rewards():
    return pytest.importorskip("trl.trainer.grpo_trainer").GRPOTrainer._calculate_rewards


def test_rewards_run_unchanged_in_trl(calculate_rewards, rollout, gold):
    functions = [registry.get(name) for name in NAMES]
    rollouts = [
        rollout(f"<think> {gold} </think> <answer> tuberculosis </answer>"),
        rollout(f"<think> {gold} </think> <answer> pneumonia </answer>"),
        rollout("<answer> tuberculosis </answer>", shape=Shape.DIRECT),
    ]
    prompts = [r.prompt for r in rollouts]
    table = columns(prompts)
    inputs = [{"prompt": list(p.messages)} | {key: table[key][i] for key in table} for i, p in enumerate(prompts)]
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device="cpu", is_main_process=True),
        reward_funcs=functions,
        reward_processing_classes=[None] * len(functions),
        reward_func_names=[function.__name__ for function in functions],
        state=SimpleNamespace(global_step=0),
        args=SimpleNamespace(report_to=[]),
        environments=None,
        _log_completion_extra=None,
        _log_metric=None,
    )
    completions = [[{"role": "assistant", "content": r.text}] for r in rollouts]
    values = calculate_rewards(trainer, inputs, [i["prompt"] for i in inputs], completions, [[1]] * len(rollouts))
    parts = Scorer(dict.fromkeys(NAMES, 1.0)).parts(rollouts)
    expected = [[part.get(name, float("nan")) for name in NAMES] for part in parts]
    for row, wanted in zip(values.tolist(), expected, strict=True):
        assert row == pytest.approx(wanted, nan_ok=True)
    assert trainer.reward_func_names == list(NAMES)


OPEN = Example("q", "c", (), "What is seen?", "neoplasm", references=("a multi-cystic mass", "glioma"))
SAID = "<think> There is a mass. </think> <answer> {} </answer>"


@pytest.mark.parametrize(("said", "value"), [("neoplasm", 1), ("a glioma", 1), ("multi-cystic mass", 1), ("a cat", 0)])
def test_any_right_answer_earns_the_reward(said, value):
    texts = [complete(SAID.format(said), OPEN)]
    [score] = Scorer({"accuracy": 1.0}).score(texts)
    assert score.parts == {"accuracy": value}
    table = columns([each.prompt for each in texts])
    assert table["references"] == [["a multi-cystic mass", "glioma"]]
    assert registry.get("accuracy")([""], [texts[0].text], **json.loads(json.dumps(table))) == [value]
    del table["references"]  # as in a data set of TRL that has none
    alone = registry.get("accuracy")([""], [texts[0].text], **table)
    assert (alone == [1]) is (said == "neoplasm")


def test_a_wrong_answer_to_try_is_none_of_the_right_ones():
    other = Example("r", "c", (), "What is seen?", "Glioma")
    last = Example("s", "c", (), "What is seen?", "fracture")
    assert _values(complete("", OPEN).prompt, [OPEN, other, last])["wrong"] == "fracture"
