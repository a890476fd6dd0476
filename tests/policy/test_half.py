import pytest
import torch
from torch import nn

import small_model
from rarl.config import Lora
from rarl.policy import Policy
from rarl.policy.half import FEW_ROWS, compute_in_float32, is_slow


@pytest.mark.parametrize("rows", [FEW_ROWS - 1, FEW_ROWS])
@pytest.mark.parametrize("bias", [False, True])
def test_products_and_gradients_are_those_of_float32_rounded_once(rows: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 40, bias=bias, dtype=torch.bfloat16).requires_grad_(False)
    wide = nn.Linear(48, 40, bias=bias).requires_grad_(False)
    wide.load_state_dict(linear.state_dict())
    compute_in_float32(linear)
    inputs = torch.randn(1, rows, 48, dtype=torch.bfloat16)
    narrow_in, wide_in = inputs.clone().requires_grad_(), inputs.float().requires_grad_()
    narrow_out, wide_out = linear(narrow_in), wide(wide_in)
    assert narrow_out.dtype is torch.bfloat16
    torch.testing.assert_close(narrow_out.float(), wide_out, rtol=1e-2, atol=1e-3)
    weights = torch.randn(narrow_out.shape, dtype=torch.bfloat16)
    (narrow_out * weights).sum().backward()
    (wide_out * weights.float()).sum().backward()
    torch.testing.assert_close(narrow_in.grad.float(), wide_in.grad, rtol=2e-2, atol=1e-2)
    assert linear.weight.grad is None


def test_only_half_precision_on_a_cpu_can_be_slow() -> None:
    assert not is_slow(torch.device("cpu"), torch.float32)
    assert not is_slow(torch.device("cuda"), torch.bfloat16)


@pytest.mark.parametrize("slow", [False, True])
def test_a_bfloat16_policy_is_near_its_float32_twin(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rarl.policy.policy.is_slow", lambda device, dtype: slow)
    twin = Policy(small_model.network(), small_model.processor(), Lora())
    policy = Policy(small_model.network().to(torch.bfloat16), small_model.processor(), Lora())
    batch = small_model.batch()
    difference = policy.logprobs(batch, 1.0).logprobs - twin.logprobs(batch, 1.0).logprobs
    assert difference.abs().max() < 0.2
