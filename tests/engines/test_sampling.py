import pytest
import torch

from rarl.engines.sampling import draw, uniforms
from rarl.types import Sampling

PROBS = torch.tensor([0.5, 0.0, 0.2, 0.3])


def drawn_shares(sampling: Sampling, count: int = 20_000) -> list[float]:
    logits_BV = PROBS.log().expand(count, -1)
    tokens_B, _ = draw(logits_BV, sampling, torch.rand(count, generator=torch.Generator().manual_seed(0)))
    return (torch.bincount(tokens_B, minlength=4) / count).tolist()


def test_draws_follow_the_distribution() -> None:
    assert drawn_shares(Sampling()) == pytest.approx([0.5, 0.0, 0.2, 0.3], abs=0.015)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    assert drawn_shares(Sampling(top_p=0.8)) == pytest.approx([0.625, 0.0, 0.0, 0.375], abs=0.015)
    assert drawn_shares(Sampling(top_p=0.81)) == pytest.approx([0.5, 0.0, 0.2, 0.3], abs=0.015)
    assert drawn_shares(Sampling(top_p=0.1)) == [1.0, 0.0, 0.0, 0.0]


def test_logprobs_are_of_the_full_distribution() -> None:
    _, logprobs_B = draw(PROBS.log()[None], Sampling(top_p=0.1), torch.tensor([0.3]))
    assert logprobs_B.exp().tolist() == pytest.approx([0.5])


def test_temperature_zero_is_greedy() -> None:
    tokens_B, logprobs_B = draw(PROBS.log()[None], Sampling(temperature=0.0), torch.tensor([0.99]))
    assert tokens_B.tolist() == [0]
    assert logprobs_B.exp().tolist() == pytest.approx([0.5])


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_the_ends_of_the_unit_interval_never_hit_an_impossible_token(top_p: float) -> None:
    probs_V = torch.tensor([0.0, 0.4, 0.6, 0.0])
    largest = 1 - 2**-24
    tokens_B, _ = draw(probs_V.log().expand(2, -1), Sampling(top_p=top_p), torch.tensor([0.0, largest]))
    assert sorted(tokens_B.tolist()) == [1, 2]


def test_a_row_of_uniforms_depends_on_its_seed_alone() -> None:
    both = uniforms([7, 2**63 - 1], 16)
    assert torch.equal(uniforms([7], 16)[0], both[0])
    assert torch.equal(uniforms([2**63 - 1, 3], 8)[0], both[1, :8])
    assert not torch.equal(both[0], both[1])
    assert ((both >= 0) & (both < 1)).all()
