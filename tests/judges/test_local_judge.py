"""A local model as a judge: through an engine, or as a function of texts."""

from dataclasses import replace

import pytest

import judge_server as fake
from rarl.config import JudgeSection
from rarl.errors import DataError, JudgeError
from rarl.judges import Failure, make_judge
from rarl.judges.rubrics import rubrics
from rarl.judges.sheets import sheet
from rarl.types import Finish, Rollout


class Engine:
    """Says `say(prompt)`; cut off where that ends with "...", refused where it is None."""

    def __init__(self, say=lambda prompt: fake.GOOD):
        self.say = say
        self.calls = []

    def generate(self, prompts, n, sampling, draws):
        self.calls.append((prompts, n, sampling))
        texts = [self.say(prompt) for prompt in prompts]
        if None in texts:
            raise DataError("a prompt is too long")
        finishes = [Finish.LENGTH if text.endswith("...") else Finish.STOP for text in texts]
        return [
            [Rollout(prompt, (1,), (0.0,), text, finish, draws.at(prompt.example.id, 0).integer())]
            for prompt, text, finish in zip(prompts, texts, finishes, strict=True)
        ]

    def close(self): ...


def made(local, **settings):
    return make_judge(JudgeSection(**{"kind": "local", "model": "here", "cache": "off", **settings}), local=local)


def test_an_engine_gets_the_sheet_as_text_alone(query):
    engine = Engine()
    [verdict] = made(engine, temperature=0.0, max_tokens=77)([query])
    assert (verdict.value, verdict.judge) == (2 / 3, "here")
    [([prompt], n, sampling)] = engine.calls
    asked = sheet(query, rubrics()["correctness"])
    assert [message["role"] for message in prompt.messages] == ["system", "user"]
    assert [message["content"] for message in prompt.messages] == [
        [{"type": "text", "text": asked.system}],
        [{"type": "text", "text": asked.user}],
    ]
    assert (n, sampling.temperature, sampling.max_new_tokens) == (1, 0.0, 77)
    assert prompt.example.images == ()


def test_batches_are_as_large_as_the_concurrency(several):
    engine = Engine()
    made(engine, concurrency=3)(several(7))
    assert [len(prompts) for prompts, _, _ in engine.calls] == [3, 3, 1]


def test_what_a_model_says_that_is_no_verdict(several):
    replies = {"answer 0": fake.GOOD, "answer 1": fake.GOOD + "...", "answer 2": "3 of 3"}

    def say(prompt):
        return next(reply for text, reply in replies.items() if f"\n{text}\n" in prompt.example.question)

    verdicts = made(Engine(say))(several(3))
    assert [verdict.failure for verdict in verdicts] == ["", Failure.TRUNCATED, Failure.UNREADABLE]
    assert [verdict.value for verdict in verdicts] == [2 / 3, None, None]


def test_a_prompt_that_an_engine_refuses_leaves_the_others(several):
    engine = Engine(lambda prompt: None if "\nanswer 1\n" in prompt.example.question else fake.GOOD)
    verdicts = made(engine)(several(3))
    assert [(verdict.value, verdict.failure) for verdict in verdicts] == [
        (2 / 3, ""),
        (None, Failure.REJECTED),
        (2 / 3, ""),
    ]
    assert "too long" in verdicts[1].raw


def test_a_function_of_texts(query, several):
    def say(text):
        asked = sheet(query, rubrics()["correctness"])
        return fake.GOOD if text == f"{asked.system}\n\n{asked.user}" else 1 / 0

    right, raised = made(say)([query, several(1)[0]])
    assert right.value == 2 / 3
    assert (raised.value, raised.failure) == (None, Failure.RAISED)
    assert "ZeroDivisionError" in raised.raw
    assert made(lambda text: None)([query])[0].failure == Failure.RAISED


def test_the_budget_of_tokens_is_a_local_judges_too(several):
    engine = Engine()
    first, *_ = several(1)
    prompt = sheet(first, rubrics()["correctness"])
    cost = -(-len(prompt.system + prompt.user) // 4) + 1  # estimated at 4 characters a token; the engine's reply has 1
    judge = made(engine, max_tokens_total=2 * cost, concurrency=1)  # "answer 0" to "answer 3" are equally long
    assert [verdict.failure for verdict in judge(several(4))] == ["", "", Failure.BUDGET, Failure.BUDGET]
    assert "judge.max_tokens_total" in judge([several(4)[3]])[0].raw
    assert (judge.sent()["prompt_tokens"], judge.sent()["completion_tokens"]) == (2 * (cost - 1), 2)
    spoken = made(lambda text: fake.GOOD, max_tokens_total=1)
    assert [verdict.failure for verdict in spoken([first])] == [""]
    assert [verdict.failure for verdict in spoken([several(2)[1]])] == [Failure.BUDGET]


def test_the_budget_and_the_record(several):
    judge = made(Engine(), max_requests=2, concurrency=3)
    assert [verdict.failure for verdict in judge(several(4))] == ["", "", Failure.BUDGET, Failure.BUDGET]
    sent = judge.sent()
    assert (sent["kind"], sent["host"], sent["model"], sent["requests"]) == ("local", None, "here", 2)


def test_a_model_that_was_trained_anew_is_asked_anew(query, tmp_path):
    model, cache = tmp_path / "model", str(tmp_path / "verdicts.sqlite")
    model.mkdir()
    engine = Engine()
    for weights, calls in (("a", 1), ("a", 1), ("other", 2)):
        (model / "model.safetensors").write_text(weights) if calls != len(engine.calls) else None
        made(engine, model=str(model), cache=cache)([query])
        assert len(engine.calls) == calls


def test_samples_at_a_temperature_are_of_a_seed(query, tmp_path):
    cache = str(tmp_path / "verdicts.sqlite")
    engine = Engine()
    settings = JudgeSection(kind="local", model="here", cache=cache, temperature=1.0)
    for seed, calls in ((0, 1), (0, 1), (1, 2)):
        make_judge(settings, local=engine, seed=seed)([query])
        assert len(engine.calls) == calls


def test_without_an_engine_there_is_none():
    with pytest.raises(JudgeError, match="no engine"):
        make_judge(JudgeSection(kind="local", model="here"))


def test_a_query_without_images_is_asked_however_many_it_has(query, broken_image):
    engine = Engine()
    made(engine)([replace(query, images=(broken_image,))])
    assert len(engine.calls) == 1
