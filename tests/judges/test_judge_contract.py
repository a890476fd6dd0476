import pytest

import judge_contract
import judge_server as fake
from rarl.config import JudgeSection
from rarl.judges import make_judge
from rarl.types import Finish, Rollout

OWN = """
import rarl

def judge(queries):
    known = ("correctness", "explanation")
    return [
        rarl.Verdict(0.5, q.axis, "so", PATH, "own-1") if q.axis in known else rarl.Verdict(None, q.axis, "?", PATH, "")
        for q in queries
    ]
"""


class Engine:
    """Says one thing."""

    def generate(self, prompts, n, sampling, draws):
        seeds = [draws.at(prompt.example.id, 0).integer() for prompt in prompts]
        return [
            [Rollout(prompt, (1,), (0.0,), fake.GOOD, Finish.STOP, seed)]
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]

    def close(self): ...


@pytest.fixture(params=["rules", "openai", "engine", "function of texts", "own"])
def judge(request, remote, tmp_path):
    local = JudgeSection(kind="local", model="here", cache="off")
    if request.param == "rules":
        return make_judge(JudgeSection())
    if request.param == "openai":
        return remote()
    if request.param == "engine":
        return make_judge(local, local=Engine())
    if request.param == "function of texts":
        return make_judge(local, local=lambda text: fake.GOOD)
    kind = f"{tmp_path / 'own.py'}:judge"
    (tmp_path / "own.py").write_text(OWN.replace("PATH", repr(kind)))
    return make_judge(JudgeSection(kind=kind))


@pytest.mark.parametrize("check", judge_contract.CHECKS, ids=lambda check: check.__name__)
def test_every_kind_of_judge_keeps_the_contract(judge, check):
    check(judge)
