"""The written-out backwards against autograd through PEFT's own module and torch's own operations, in float64."""

import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from rarl.policy.linear import Projection, gated_down, refresh


def adapted_linear(inputs: int, outputs: int, *, bias: bool, dtype: torch.dtype = torch.float64) -> nn.Module:
    """PEFT's module around a linear, with a non-zero B."""
    torch.manual_seed(inputs)
    network = nn.Sequential(nn.Linear(inputs, outputs, bias=bias, dtype=dtype))
    module = get_peft_model(network, LoraConfig(r=3, lora_alpha=5, target_modules=["0"])).base_model.model[0]
    nn.init.normal_(module.lora_B["default"].weight)
    return module


def gradients(module: nn.Module, output: Tensor, rows: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    trained = [module.lora_A["default"].weight, module.lora_B["default"].weight]
    return list(torch.autograd.grad((output * weights).sum(), [*rows, *trained]))


@pytest.mark.parametrize("bias", [False, True])
def test_an_adapted_projection_is_pefts(bias: bool) -> None:
    module = adapted_linear(7, 5, bias=bias).double()
    rows = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)
    mine, theirs = Projection(module)(rows, adapted=True), module(rows)
    torch.testing.assert_close(mine, theirs)
    for a, b in zip(gradients(module, mine, [rows]), gradients(module, theirs, [rows]), strict=True):
        torch.testing.assert_close(a, b)


def test_without_its_adapter_it_is_the_base_and_keeps_no_rows() -> None:
    module = adapted_linear(7, 5, bias=True).double()
    rows = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)
    output = Projection(module)(rows, adapted=False)
    torch.testing.assert_close(output, module.base_layer(rows))
    assert [tuple(saved.shape) for saved in output.grad_fn.saved_tensors] == [(5, 7)]  # type: ignore[union-attr]
    output.sum().backward()
    torch.testing.assert_close(rows.grad, module.base_layer.weight.sum(0).expand(4, -1))
    assert module.base_layer.weight.grad is None


def test_rows_that_need_no_gradient_get_none() -> None:
    module = adapted_linear(7, 5, bias=False).double()
    rows = torch.randn(4, 7, dtype=torch.float64)
    mine, theirs = Projection(module)(rows, adapted=True), module(rows)
    for a, b in zip(gradients(module, mine, []), gradients(module, theirs, []), strict=True):
        torch.testing.assert_close(a, b)


def test_the_gated_product_is_computed_again() -> None:
    module = adapted_linear(6, 5, bias=False).double()
    gate, up = (torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    mine, theirs = gated_down(gate, up, Projection(module), adapted=True), module(F.silu(gate) * up)
    torch.testing.assert_close(mine, theirs)
    wide = [saved for saved in mine.grad_fn.saved_tensors if saved.shape == (4, 6)]  # type: ignore[union-attr]
    for a, b in zip(gradients(module, mine, [gate, up]), gradients(module, theirs, [gate, up]), strict=True):
        torch.testing.assert_close(a, b)
    assert len(wide) == 2  # gate and up, not their product


def test_half_precision_computes_with_a_copy_that_refresh_brings_up_to_date() -> None:
    module = adapted_linear(7, 5, bias=False, dtype=torch.bfloat16)
    assert module.lora_A["default"].weight.dtype is torch.float32
    projection = Projection(module)
    rows = torch.randn(4, 7, dtype=torch.bfloat16)
    before = projection(rows, adapted=True)
    module.lora_B["default"].weight.data.mul_(2)
    assert torch.equal(projection(rows, adapted=True), before)
    refresh([projection])
    after = projection(rows, adapted=True)
    assert after.dtype is torch.bfloat16
    torch.testing.assert_close(after, module(rows), rtol=2e-2, atol=2e-2)
    after.float().sum().backward()
    assert module.lora_B["default"].weight.grad.dtype is torch.float32
