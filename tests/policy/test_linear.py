"""The written-out backwards against autograd through PEFT's own modules and torch's own operations, in float64."""

import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from rarl.policy.linear import Projection, gated_down


def linears(
    inputs: int, outputs: list[int], targets: list[int], *, dtype: torch.dtype = torch.float64
) -> list[nn.Module]:
    """Linears of some widths, PEFT's modules of non-zero B around those that `targets` names."""
    torch.manual_seed(inputs)
    network = nn.ModuleList([nn.Linear(inputs, width, dtype=dtype) for width in outputs])
    if targets:
        config = LoraConfig(r=3, lora_alpha=5, target_modules=[str(target) for target in targets])
        network = get_peft_model(network, config).base_model.model
    for module in (network[target] for target in targets):
        nn.init.normal_(module.lora_B["default"].weight)
        if dtype is torch.float64:
            module.double()
    return list(network.requires_grad_(False))


def gradients(modules: list[nn.Module], output: Tensor, rows: Tensor | None = None) -> list[Tensor]:
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    trained = [
        p for name in ("lora_A", "lora_B") for m in modules if hasattr(m, name) for p in getattr(m, name).parameters()
    ]
    return list(torch.autograd.grad((output * weights).sum(), [*([] if rows is None else [rows]), *trained]))


def train(modules: list[nn.Module]) -> None:
    for module in modules:
        for name, parameter in module.named_parameters():
            parameter.requires_grad_("lora_" in name)


@pytest.mark.parametrize("targets", [[0, 1, 2], [0, 2], [1]])
def test_linears_side_by_side_are_pefts_one_after_the_other(targets: list[int]) -> None:
    modules = linears(7, [5, 2, 3], targets)
    train(modules)
    rows = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)
    expected = torch.cat([module(rows) for module in modules], 1)
    joint = Projection(*modules)
    mine, theirs = joint(rows, adapted=True), torch.cat([module(rows) for module in modules], 1)
    torch.testing.assert_close(mine, expected)
    torch.testing.assert_close(theirs, expected)  # the modules work on
    assert len(joint.trained) == 2 * len(targets)
    for a, b in zip(gradients(modules, mine, rows), gradients(modules, theirs, rows), strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        torch.testing.assert_close(joint(rows, adapted=True), expected)


def test_without_its_adapter_it_is_the_base_and_keeps_no_rows() -> None:
    modules = linears(7, [5], [0])
    rows = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)
    output = Projection(*modules)(rows, adapted=False)
    torch.testing.assert_close(output, modules[0].base_layer(rows))
    assert [tuple(saved.shape) for saved in output.grad_fn.saved_tensors] == []  # type: ignore[union-attr]
    output.sum().backward()
    torch.testing.assert_close(rows.grad, modules[0].base_layer.weight.sum(0).expand(4, -1))
    assert modules[0].base_layer.weight.grad is None


def test_rows_that_need_no_gradient_get_none() -> None:
    modules = linears(7, [5, 3], [0, 1])
    train(modules)
    rows = torch.randn(4, 7, dtype=torch.float64)
    mine, theirs = Projection(*modules)(rows, adapted=True), torch.cat([module(rows) for module in modules], 1)
    for a, b in zip(gradients(modules, mine), gradients(modules, theirs), strict=True):
        torch.testing.assert_close(a, b)


def test_the_gated_product_is_computed_again_and_not_kept() -> None:
    modules = linears(6, [5], [0])
    train(modules)
    gate_up = torch.randn(4, 12, dtype=torch.float64, requires_grad=True)
    mine = gated_down(gate_up, Projection(*modules), adapted=True)
    theirs = modules[0](F.silu(gate_up[:, :6]) * gate_up[:, 6:])
    assert sorted(tuple(saved.shape) for saved in mine.grad_fn.saved_tensors) == [(4, 3), (4, 12)]  # type: ignore[union-attr]
    torch.testing.assert_close(mine, theirs)
    for a, b in zip(gradients(modules, mine, gate_up), gradients(modules, theirs, gate_up), strict=True):
        torch.testing.assert_close(a, b)


def test_the_gated_product_without_an_adapter() -> None:
    modules = linears(6, [5], [])
    gate_up = torch.randn(4, 12, dtype=torch.float64, requires_grad=True)
    expected = modules[0](F.silu(gate_up[:, :6]) * gate_up[:, 6:])
    torch.testing.assert_close(gated_down(gate_up, Projection(*modules), adapted=True), expected)


def test_a_trained_adapter_is_used_from_the_next_refresh_on() -> None:
    modules = linears(7, [5], [0], dtype=torch.bfloat16)
    train(modules)
    B = modules[0].lora_B["default"].weight
    assert B.dtype is torch.float32
    projection = Projection(*modules)
    rows = torch.randn(4, 7, dtype=torch.bfloat16)
    before = projection(rows, adapted=True)
    B.data.mul_(2)
    assert torch.equal(projection(rows, adapted=True), before)
    projection.refresh()
    after = projection(rows, adapted=True)
    assert after.dtype is torch.bfloat16
    torch.testing.assert_close(after, modules[0](rows), rtol=2e-2, atol=2e-2)
    after.float().sum().backward()
    assert B.grad is not None
    assert B.grad.dtype is torch.float32
