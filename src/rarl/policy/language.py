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
from rarl.policy.linear import Projection, gated_down, refresh
from rarl.policy.norms import Rotation, rms_norm


class LanguageModel:
    """`module` is transformers' language model, its linears torch's or PEFT's."""

    def __init__(self, module: Any) -> None:
        config = module.config
        self.heads, self.key_heads = config.num_attention_heads, config.num_key_value_heads
        self.width = int(config.hidden_size) // self.heads  # of a head
        self.layers = [Layer(layer, index, self.width) for index, layer in enumerate(module.layers)]
        self.embedding_VH: Tensor = module.embed_tokens.weight
        self.checkpointing = False  # compute every layer again in the backward, and keep only what goes into it
        self.tokens_computed = 0  # through all layers, all passes
        self._norm_H, self._epsilon = module.norm.weight, module.norm.variance_epsilon
        self._rotary = module.rotary_emb
        self._projections = [projection for layer in self.layers for projection in layer.projections]

    def embed(self, token_ids_T: Tensor) -> Tensor:
        """Input embeddings [T, H]; they are frozen."""
        return self.embedding_VH.detach()[token_ids_T]

    def refresh(self) -> None:
        """Take over what the optimizer changed; needed before a pass wherever an adapter is kept in another dtype."""
        refresh(self._projections)

    def rotation(self, positions_3T: Tensor) -> Rotation:
        """What turns queries and keys to their M-RoPE positions."""
        cos_1Td, sin_1Td = self._rotary(self.embedding_VH[:1], positions_3T[:, None])
        half = self.width // 2  # both halves of a head turn by the same angles
        return Rotation(cos_1Td[0, :, None, :half].contiguous(), sin_1Td[0, :, None, :half].contiguous())

    def hidden(self, embeddings_TH: Tensor, rotation: Rotation, layout: Layout, *, adapted: bool = True) -> Tensor:
        """Last hidden states [N, H] of the rows that `layout.read_N` names, or of all T."""
        self.tokens_computed += len(embeddings_TH)
        hidden_TH = embeddings_TH
        for layer in self.layers:
            rows_N = layout.read_N if layer is self.layers[-1] else None
            compute = partial(layer.forward, rotation=rotation, layout=layout, rows_N=rows_N, adapted=adapted)
            if self.checkpointing and torch.is_grad_enabled():
                hidden_TH = checkpoint(compute, hidden_TH, use_reentrant=False, preserve_rng_state=False)
            else:
                hidden_TH = compute(hidden_TH)
        return rms_norm(hidden_TH, self._norm_H, self._epsilon)


class Layer:
    """One decoder layer: attention and a gated MLP, each behind a norm and added to what came in."""

    def __init__(self, module: Any, index: int, width: int) -> None:
        attention, mlp = module.self_attn, module.mlp
        self.index, self.width = index, width
        self.query, self.key = Projection(attention.q_proj), Projection(attention.k_proj)
        self.value, self.output = Projection(attention.v_proj), Projection(attention.o_proj)
        self.gate, self.up, self.down = (Projection(m) for m in (mlp.gate_proj, mlp.up_proj, mlp.down_proj))
        self.projections = (self.query, self.key, self.value, self.output, self.gate, self.up, self.down)
        self._norms = [
            (norm.weight, norm.variance_epsilon) for norm in (module.input_layernorm, module.post_attention_layernorm)
        ]
        self._scale = float(attention.scaling)

    def forward(
        self, hidden_TH: Tensor, *, rotation: Rotation, layout: Layout, rows_N: Tensor | None, adapted: bool
    ) -> Tensor:
        """[T, H], or [N, H] of the wanted rows alone; keys and values are those of all T."""
        normed_TH = rms_norm(hidden_TH, *self._norms[0])
        key_TKd = rotation(self._heads(self.key(normed_TH, adapted)))
        value_TKd = self._heads(self.value(normed_TH, adapted))
        if rows_N is not None:
            hidden_TH, normed_TH, rotation = hidden_TH[rows_N], normed_TH[rows_N], rotation.of(rows_N)
        query_NKd = rotation(self._heads(self.query(normed_TH, adapted)))
        attended_NHd = layout.attend(self.index, query_NKd, key_TKd, value_TKd, self._scale)
        hidden_NH = hidden_TH + self.output(attended_NHd.flatten(1), adapted)
        normed_NH = rms_norm(hidden_NH, *self._norms[1])
        gate_NI, up_NI = self.gate(normed_NH, adapted), self.up(normed_NH, adapted)
        return hidden_NH + gated_down(gate_NI, up_NI, self.down, adapted)

    def _heads(self, rows_TI: Tensor) -> Tensor:
        return rows_TI.view(len(rows_TI), -1, self.width)
