"""The language model of Qwen2-VL and Qwen2.5-VL, computed over one packed row of tokens.

The weights are those of transformers' modules and of PEFT's adapter, read where they are. Only the computation is new
here, for three reasons: a `Layout` says which tokens attend to which, so a prompt is computed once for all its
completions; the backward keeps what it needs and no more; and of the last layer only the rows that are read are
computed. That both compute the same is what tests/policy/test_policy.py holds.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rarl.policy.attention import Layout
from rarl.policy.linear import Projection
from rarl.policy.norms import Rotation, rms_norm
from rarl.policy.recording import Products


class LanguageModel:
    """`module` is transformers' language model, its linears torch's or PEFT's."""

    def __init__(self, module: Any) -> None:
        self.layers = [Layer(layer, index) for index, layer in enumerate(module.layers)]
        self.embedding_VH: Tensor = module.embed_tokens.weight
        self.checkpointing = False  # compute every layer again in the backward, and keep only what goes into it
        self.tokens_computed = 0  # through all layers, all passes
        self._norm_H, self._epsilon = module.norm.weight, module.norm.variance_epsilon
        self._rotary = module.rotary_emb

    def embed(self, token_ids_T: Tensor) -> Tensor:
        """Input embeddings [T, H]; they are frozen."""
        return self.embedding_VH.detach()[token_ids_T]

    def refresh(self) -> None:
        """Take over what the optimizer changed; to be called before a pass."""
        for layer in self.layers:
            for projection in (layer.query_key_value, layer.output, layer.gate_up, layer.down):
                projection.refresh()

    def rotation(self, positions_3T: Tensor) -> Rotation:
        """What turns queries and keys to their M-RoPE positions."""
        cos_1Td, sin_1Td = self._rotary(self.embedding_VH[:1], positions_3T[:, None])
        half = cos_1Td.shape[-1] // 2  # both halves of a head turn by the same angles
        return Rotation(cos_1Td[0, :, None, :half].contiguous(), sin_1Td[0, :, None, :half].contiguous())

    def hidden(self, embeddings_TH: Tensor, rotation: Rotation, layout: Layout, products: Products) -> Tensor:
        """Last hidden states [N, H] of the rows that `layout.read_N` names, or of all T."""
        self.tokens_computed += len(embeddings_TH)
        hidden_TH = embeddings_TH
        for layer in self.layers:
            rows_N = layout.read_N if layer is self.layers[-1] else None
            compute = partial(layer.forward, rotation=rotation, layout=layout, rows_N=rows_N, products=products)
            if self.checkpointing and torch.is_grad_enabled():
                hidden_TH = checkpoint(compute, hidden_TH, use_reentrant=False, preserve_rng_state=False)
            else:
                hidden_TH = compute(hidden_TH)
        return rms_norm(hidden_TH, self._norm_H, self._epsilon)


class Layer:
    """One decoder layer: attention and a gated MLP, each behind a norm and added to what came in."""

    def __init__(self, module: Any, index: int) -> None:
        attention, mlp = module.self_attn, module.mlp
        self.index, self.width = index, int(attention.head_dim)
        self.heads, self.key_heads = attention.config.num_attention_heads, attention.config.num_key_value_heads
        self.query_key_value = Projection(attention.q_proj, attention.k_proj, attention.v_proj)
        self.output = Projection(attention.o_proj)
        self.gate_up, self.down = Projection(mlp.gate_proj, mlp.up_proj), Projection(mlp.down_proj)
        self._norms = [
            (norm.weight, norm.variance_epsilon) for norm in (module.input_layernorm, module.post_attention_layernorm)
        ]
        self._scale = float(attention.scaling)

    def forward(
        self, hidden_TH: Tensor, *, rotation: Rotation, layout: Layout, rows_N: Tensor | None, products: Products
    ) -> Tensor:
        """[T, H], or [N, H] of the wanted rows alone; keys and values are those of all T."""
        rows = products.of(self.query_key_value, rms_norm(hidden_TH, *self._norms[0]))
        rows_THd = rotation(rows.view(len(rows), -1, self.width), self.heads + self.key_heads)  # all but the values
        query_NHd, key_TKd, value_TKd = rows_THd.split([self.heads, self.key_heads, self.key_heads], 1)
        if rows_N is not None:
            hidden_TH, query_NHd = hidden_TH[rows_N], query_NHd[rows_N]
        attended_NHd = layout.attend(self.index, query_NHd, key_TKd, value_TKd, self._scale)
        hidden_NH = hidden_TH + products.of(self.output, attended_NHd.flatten(1))
        gate_up_NI = products.of(self.gate_up, rms_norm(hidden_NH, *self._norms[1]))
        return hidden_NH + products.gated(self.down, gate_up_NI)
