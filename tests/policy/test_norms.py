"""Norm and rotation against transformers' modules and autograd."""

import torch
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLRMSNorm, apply_rotary_pos_emb

from rarl.policy.norms import Rotation, rms_norm


def test_the_norm_and_its_gradient_are_those_of_transformers() -> None:
    module = Qwen2VLRMSNorm(6, eps=1e-3).requires_grad_(False)
    torch.nn.init.normal_(module.weight)
    rows = torch.randn(4, 6, requires_grad=True)
    mine, theirs = rms_norm(rows, module.weight, 1e-3), module(rows)
    torch.testing.assert_close(mine, theirs)
    weights = torch.randn(4, 6)
    [a], [b] = (torch.autograd.grad((output * weights).sum(), rows) for output in (mine, theirs))
    torch.testing.assert_close(a, b)


def test_the_rotation_and_its_gradient_are_those_of_transformers() -> None:
    angles = torch.rand(5, 4) * 6
    heads = torch.randn(5, 3, 8, requires_grad=True)
    rotation = Rotation(angles.cos()[:, None], angles.sin()[:, None])
    mine = rotation(heads, 3)
    whole = torch.cat([angles, angles], 1)[None]
    theirs, _ = apply_rotary_pos_emb(heads.transpose(0, 1)[None], heads.transpose(0, 1)[None], whole.cos(), whole.sin())
    theirs = theirs[0].transpose(0, 1)
    torch.testing.assert_close(mine, theirs)
    weights = torch.randn(5, 3, 8)
    [a], [b] = (torch.autograd.grad((output * weights).sum(), heads) for output in (mine, theirs))
    torch.testing.assert_close(a, b)


def test_heads_that_are_values_are_not_turned() -> None:
    angles = torch.rand(5, 1, 4)
    rotation = Rotation(angles.cos(), angles.sin())
    heads = torch.randn(5, 3, 8, requires_grad=True)
    some = rotation(heads, 2)
    assert torch.equal(some[:, 2], heads[:, 2])
    assert torch.equal(some[:, :2], rotation(heads[:, :2], 2))
    some[:, 2].sum().backward()
    assert torch.equal(heads.grad, torch.cat([torch.zeros(5, 2, 8), torch.ones(5, 1, 8)], 1))
    with torch.no_grad():
        assert torch.equal(rotation(heads, 2), some)
