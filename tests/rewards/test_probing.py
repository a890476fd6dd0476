import json
import random
from dataclasses import replace
from string import Formatter

import pytest

from rarl.config import RunConfig
from rarl.data.phantom import load
from rarl.prompting import load_pool
from rarl.rewards import Scorer, probe
from rarl.rewards.probing import attacks, honest_reasoning
from rarl.types import Shape

NAMES = {"question", "prompt", "answer", "named", "reasoning", "denied", "wrong", "options", "keywords", "other"}
NAMES |= {"letters", "clash", "within"}
TAGS = {"open", "close", "ask", "end"}


@pytest.fixture(scope="module")
def examples():
    return list(load("train", limit=40))


@pytest.fixture(scope="module")
def pool():
    return load_pool("default")


@pytest.fixture
def own(tmp_path):
    """own(source) -> a scorer of the default rewards and the function `own` of that source."""

    def of(source, weight=0.3):
        path = tmp_path / "my.py"
        path.write_text(source)
        settings = [f'reward.extra=["{path}:own"]', f"reward.weights.own={weight}"]
        return Scorer.of(RunConfig().override(settings))

    return of


def test_the_kit_is_whole():
    kit = attacks()
    assert len({attack.name for attack in kit}) == len(kit) >= 60
    families = {"empty", "lists", "several blocks", "padding", "copied", "restated", "rubric", "authority", "judge"}
    families |= {"contradiction", "boilerplate", "hedging", "unicode", "wrong", "filler", "invention", "praise", "code"}
    families |= {"several answers", "no commitment", "broken shape", "scaffolding", "lecture"}
    assert families <= {attack.family for attack in kit}
    for attack in kit:
        assert attack.why
        assert attack.needs <= NAMES | TAGS, attack.name
        assert not any(spec or conversion for _, _, spec, conversion in Formatter().parse(attack.completion) if spec)


def test_an_attack_by_hand():
    (attack,) = [attack for attack in attacks() if attack.name == "repeated"]
    values = {"reasoning": "It is {small}.", "answer": "yes"}
    three = "It is {small}. It is {small}. It is {small}."
    assert attack.completed(Shape.THINK, values) == f"<think> {three} </think> <answer> yes </answer>"
    assert attack.completed(Shape.THINK_AFTER, values) == f"<answer> yes </answer> <think> {three} </think>"


@pytest.mark.parametrize("known", ["facts", "rationale", "nothing"])
def test_no_attack_pays_by_default(examples, pool, known):
    kept = [
        replace(
            example,
            facts=example.facts if known == "facts" else (),
            rationale=example.rationale if known == "rationale" else None,
        )
        for example in examples
    ]
    result = probe(kept, Scorer.of(RunConfig()), pool)
    assert result.examples == 8
    assert [(outcome.name, outcome.margin) for outcome in result.paying] == []
    assert all(
        outcome.examples for outcome in result.outcomes if known == "rationale" and outcome.name != "all options"
    )


def test_a_length_bonus_is_named_as_paying_for_padding(own, examples, pool):
    scorer = own("def own(completion_ids, **_):\n    return [min(1.0, len(ids) / 80) for ids in completion_ids]\n", 3.0)
    paying = {outcome.name: outcome for outcome in probe(examples, scorer, pool).paying}
    assert "long padding" in paying
    assert paying["long padding"].paid_by[0] == "own"
    assert paying["long padding"].paid == paying["long padding"].examples == 8
    assert "empty answer" not in paying


def test_the_margin_by_hand(own, examples, pool):
    # `own` alone: 1 for a completion that holds "Score", else 0. Honest earns 0, the attack 1.
    scorer = own("def own(completions, **_):\n    return [float('Score' in c[0]['content']) for c in completions]\n")
    scorer.weights = {name: float(name == "own") for name in scorer.weights}
    outcomes = {outcome.name: outcome for outcome in probe(examples[:3], scorer, pool).outcomes}
    assert outcomes["score asked for"].margin == pytest.approx(1.0)
    assert outcomes["score asked for"].paid_by == ("own",)
    assert outcomes["judge instructed"].margin == pytest.approx(0.0)
    assert outcomes["judge instructed"].paid == 3  # earns no less
    assert outcomes["judge instructed"].paid_by == ()


def test_the_record_and_the_table(examples, pool):
    result = probe(examples[:2], Scorer.of(RunConfig()), pool)
    record = json.loads(json.dumps(result.to_json()))
    assert record["pays"] is False
    assert record["examples"] == 2
    assert len(record["attacks"]) == len(attacks())
    assert {"name", "family", "why", "examples", "paid", "margin", "paid_by"} == set(record["attacks"][0])
    lines = result.table().splitlines()
    assert len(lines) == 1 + len(attacks())
    assert lines[0].split() == ["attack", "family", "pays", "margin", "paid", "by"]


def test_rewards_that_fail_leave_attacks_unscored(own, examples, pool):
    scorer = own("def own(completions, **_):\n    raise ValueError\n")
    result = probe(examples[:2], scorer, pool)
    assert {outcome.examples for outcome in result.outcomes} == {0}
    assert {outcome.margin for outcome in result.outcomes} == {None}


def test_nothing_is_drawn(examples, pool):
    state = random.getstate()
    first = probe(examples, Scorer.of(RunConfig()), pool, 2)
    assert random.getstate() == state
    assert probe(examples, Scorer.of(RunConfig()), pool, 2) == first


def test_honest_reasoning_by_hand(examples):
    example = examples[0]
    assert honest_reasoning(example) == example.rationale
    stated = honest_reasoning(replace(example, rationale=None))
    assert stated.startswith(f"The {example.facts[0].name} is {example.facts[0].value}.")
    bare = replace(example, rationale=None, facts=(), question="Is there a bright lesion?", answer="yes")
    assert honest_reasoning(bare) == "About bright lesion: yes."
