"""The shared-prefix pass against the same thing computed one completion at a time."""

import pytest
import torch

import small_model
from rarl.config import Lora
from rarl.errors import DataError, ModelError
from rarl.policy import Policy
from rarl.policy.logprobs import token_logprobs
from rarl.policy.plain import plain_logprobs

TEMPERATURE = 0.7


def gradients(policy, compute) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Log-probs and the LoRA gradients of a random weighting of them."""
    weights_BT = torch.randn(6, 9, generator=torch.Generator().manual_seed(4))
    for parameter in policy.trainable():
        parameter.grad = None
    logprobs_BT = compute()
    (logprobs_BT * weights_BT * small_model.batch().mask_BT).sum().backward()
    return logprobs_BT.detach(), [parameter.grad.clone() for parameter in policy.trainable()]


@pytest.mark.parametrize(("kind", "checkpointing"), [("qwen2_vl", False), ("qwen2_vl", True), ("qwen2_5_vl", False)])
def test_shared_prefix_equals_one_completion_at_a_time(kind: str, checkpointing: bool) -> None:
    policy = small_model.policy(kind=kind)
    expected_BT, expected_grads = gradients(policy, lambda: plain_logprobs(policy, small_model.batch(), TEMPERATURE))
    if checkpointing:
        policy.language.checkpointing = True
    logprobs_BT, grads = gradients(policy, lambda: policy.logprobs(small_model.batch(), TEMPERATURE).logprobs)
    torch.testing.assert_close(logprobs_BT, expected_BT, atol=1e-5, rtol=0)
    assert len(grads) == 42  # A and B of seven linears in three layers
    for grad, expected in zip(grads, expected_grads, strict=True):
        assert expected.norm() > 0.1  # the comparison sees something
        assert (grad - expected).norm() <= 1e-5 * expected.norm()


def test_reference_is_the_network_without_its_adapter() -> None:
    policy = small_model.policy()
    untouched = Policy(small_model.network(), small_model.processor())
    reference_BT = policy.reference_logprobs(small_model.batch(), TEMPERATURE)
    torch.testing.assert_close(
        reference_BT, plain_logprobs(untouched, small_model.batch(), TEMPERATURE), atol=1e-5, rtol=0
    )
    assert (reference_BT - policy.logprobs(small_model.batch(), TEMPERATURE).logprobs).abs().max() > 0.1
    assert all(parameter.requires_grad for parameter in policy.trainable())
    assert len(policy.trainable()) == 42


def test_every_image_is_encoded_once_and_every_prompt_computed_once_a_pass() -> None:
    policy = small_model.policy()
    for _ in range(3):
        policy.logprobs(small_model.batch(), TEMPERATURE)
    assert policy.vision.encodes == 3
    prompts = sum(len(policy.encode(prompt)) for prompt in small_model.batch().prompts)
    assert policy.language.tokens_computed == 3 * (prompts + sum(small_model.batch().lengths) - 6)


def test_the_tower_gets_no_gradient() -> None:
    policy = small_model.policy()
    names = [name for name, parameter in policy.network.named_parameters() if parameter.requires_grad]
    assert names
    assert all("language_model" in name and "lora_" in name for name in names)


def test_entropy_matches_its_definition() -> None:
    policy = small_model.policy()
    group = small_model.batch()
    logits_TV = torch.randn(5, 320)
    masked_TV = logits_TV.masked_fill(policy.suppressed_V, float("-inf"))
    expected_T = torch.distributions.Categorical(logits=masked_TV).entropy()
    targets_T = torch.arange(10, 15)
    scores = token_logprobs(logits_TV, torch.eye(320), targets_T, policy.suppressed_V, 1.0)
    torch.testing.assert_close(scores.entropy, expected_T, atol=1e-5, rtol=1e-5)
    entropy_BT = policy.logprobs(group, 1.0).entropy
    assert not entropy_BT[~group.mask_BT].any()
    assert not entropy_BT.requires_grad


def test_image_placeholder_in_a_question_is_refused() -> None:
    policy = small_model.policy()
    with pytest.raises(DataError, match="e0: 2 image placeholders for 1 images"):
        policy.encode(small_model.prompt("Is <|image_pad|> here?"))


def test_unknown_lora_target_names_the_linears() -> None:
    with pytest.raises(ModelError, match=r"lora.targets \['q'\].*down_proj.*q_proj"):
        Policy(small_model.network(), small_model.processor(), Lora(targets=("q",)))


def test_adapter_initialisation_is_seeded() -> None:
    first, second = (Policy(small_model.network(), small_model.processor(), Lora()) for _ in range(2))
    for a, b in zip(first.trainable(), second.trainable(), strict=True):
        assert torch.equal(a, b)
