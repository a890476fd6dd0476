import pytest
import torch
from torch import nn

import small_model
from rarl.config import Lora
from rarl.policy import Policy
from rarl.policy.half import FEW_ROWS, is_slow, product, product_back, widen_linears


@pytest.mark.parametrize("rows", [FEW_ROWS - 1, FEW_ROWS])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("wide_at_once", [15, 32_768])
def test_products_and_gradients_are_those_of_float32_rounded_once(
    rows: int, bias: bool, wide_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rarl.policy.half.is_slow", lambda device, dtype: True)
    monkeypatch.setattr("rarl.policy.half.WIDE", wide_at_once)
    torch.manual_seed(0)
    linear = nn.Linear(48, 40, bias=bias, dtype=torch.bfloat16).requires_grad_(False)
    wide = nn.Linear(48, 40, bias=bias).requires_grad_(False)
    wide.load_state_dict(linear.state_dict())
    inputs = torch.randn(rows, 48, dtype=torch.bfloat16)
    wide_in = inputs.float().requires_grad_()
    narrow_out, wide_out = product(inputs, linear.weight, linear.bias), wide(wide_in)
    assert narrow_out.dtype is torch.bfloat16
    torch.testing.assert_close(narrow_out.float(), wide_out, rtol=1e-2, atol=1e-3)
    weights = torch.randn(narrow_out.shape, dtype=torch.bfloat16)
    (wide_out * weights.float()).sum().backward()
    grad_in = product_back(weights, linear.weight)
    torch.testing.assert_close(grad_in.float(), wide_in.grad, rtol=2e-2, atol=1e-2)


def test_only_half_precision_on_a_cpu_can_be_slow() -> None:
    assert not is_slow("cpu", torch.float32)
    assert not is_slow("cuda", torch.bfloat16)


@pytest.mark.parametrize("slow", [False, True])
def test_a_bfloat16_policy_is_near_its_float32_twin(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rarl.policy.half.is_slow", lambda device, dtype: slow and dtype is torch.bfloat16)
    twin = Policy(small_model.network(), small_model.processor(), Lora())
    policy = Policy(small_model.network().to(torch.bfloat16), small_model.processor(), Lora())
    batch = small_model.batch()
    difference = policy.logprobs(batch, 1.0).logprobs - twin.logprobs(batch, 1.0).logprobs
    assert difference.abs().max() < 0.2


def test_a_network_that_is_not_ours_widens_too(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(48, 40, dtype=torch.bfloat16)).requires_grad_(False)
    inputs = torch.randn(2, FEW_ROWS, 48, dtype=torch.bfloat16)
    before = network(inputs)
    monkeypatch.setattr("rarl.policy.half.is_slow", lambda device, dtype: True)
    widen_linears(network)
    calls = []
    monkeypatch.setattr("rarl.policy.half.product", lambda *arguments: calls.append(arguments) or product(*arguments))
    torch.testing.assert_close(network(inputs), before, rtol=1e-2, atol=1e-2)
    assert len(calls) == 1
