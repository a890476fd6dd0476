"""The model that is trained: a frozen base with a LoRA adapter, sampled from and trained on as one network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rarl.algo.batch import GroupBatch
from rarl.config import Lora, Model
from rarl.draws import Draws
from rarl.extras import needed_for
from rarl.policy.attention import Layout, PackedGroups, install
from rarl.policy.half import compute_in_float32, is_slow
from rarl.policy.loading import load_base, lora_target, require_supported, resolve_base
from rarl.policy.logprobs import TokenLogprobs, masked_logits, token_logprobs
from rarl.policy.processor import Processor
from rarl.policy.prompts import EncodedPrompt, encode, pack
from rarl.policy.vision import VisionFeatures
from rarl.types import Prompt


class Policy:
    """`network` is the PEFT model; without an adapter (a base to evaluate) it is the base itself."""

    def __init__(self, base: Any, processor: Processor, lora: Lora | None = None, draws: Draws | None = None) -> None:
        self.base, self.processor = base, processor
        self.vision = VisionFeatures(base, processor)
        self.language_model = base.model.language_model
        install(self.language_model)
        if is_slow(base.lm_head.weight.device, base.lm_head.weight.dtype):
            compute_in_float32(base)
        self.network = base if lora is None else _with_adapter(base, lora, draws or Draws(0))
        text = self.language_model.config
        self.heads_per_key = text.num_attention_heads // text.num_key_value_heads
        self.head_VH: Tensor = base.lm_head.weight
        self.suppressed_V = processor.suppressed(len(self.head_VH), self.device)
        self.end_ids = _end_ids(base, processor)
        self.tokens_computed = 0  # tokens through the language model, all passes

    @classmethod
    def load(cls, model: Model, lora: Lora | None = None, draws: Draws | None = None) -> Policy:
        """The base of a config on its device, with a fresh adapter when `lora` is given. Errors: ModelError."""
        require_supported(model.base)
        processor = Processor.load(resolve_base(model.base), model.max_vision_tokens)
        policy = cls(load_base(model), processor, lora, draws)
        if model.gradient_checkpointing:
            policy.checkpoint_activations()
        return policy

    @property
    def device(self) -> torch.device:
        return self.head_VH.device

    def trainable(self) -> list[torch.nn.Parameter]:
        """The adapter's parameters."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def checkpoint_activations(self) -> None:
        """Recompute the language model's layers in the backward; the frozen tower has none to recompute."""
        for layer in self.language_model.layers:
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Embeddings and M-RoPE positions of a prompt, its images encoded at most once in a run."""
        return encode(prompt, self.base, self.processor, self.vision)

    def embed(self, token_ids_T: Tensor) -> Tensor:
        """Input embeddings [T, H]; they are frozen."""
        with torch.no_grad():
            embeddings_TH: Tensor = self.language_model.embed_tokens(token_ids_T)
        return embeddings_TH

    def hidden(self, embeddings_BLH: Tensor, positions_3BL: Tensor, layout: Layout) -> Tensor:
        """Last hidden states [B, L, H] of one forward through the language model, adapter as it is now."""
        self.tokens_computed += embeddings_BLH.shape[0] * embeddings_BLH.shape[1]
        output = self.language_model(
            inputs_embeds=embeddings_BLH,
            position_ids=positions_3BL,
            attention_mask={"full_attention": None, "sliding_attention": None},  # the layout knows
            use_cache=False,
            layout=layout,
        )
        hidden_BLH: Tensor = output.last_hidden_state
        return hidden_BLH

    def logits(self, hidden_BH: Tensor, temperature: float = 1.0) -> Tensor:
        """Next-token logits [B, V], float32, suppressed tokens at -inf."""
        return masked_logits(hidden_BH, self.head_VH, self.suppressed_V, temperature)

    def logprobs(self, batch: GroupBatch, temperature: float) -> TokenLogprobs:
        """Log-probs and entropies [B, T] of the batch's completions, each prompt computed once; 0 on padding."""
        prompts = [self.encode(prompt) for prompt in batch.prompts]
        ids_BT, mask_BT = batch.completion_ids_BT.to(self.device), batch.mask_BT.to(self.device)
        packed = pack(prompts, batch, ids_BT)
        layout = PackedGroups(packed.prompt_lengths, packed.fed_lengths, self.heads_per_key, self.device)
        fed = self.embed(packed.fed_ids_F).split([sum(lengths) for lengths in packed.fed_lengths])
        pairs = zip((prompt.embeddings_PH for prompt in prompts), fed, strict=True)
        embeddings_LH = torch.cat([part for pair in pairs for part in pair])
        with self._training(torch.is_grad_enabled()):
            hidden_LH = self.hidden(embeddings_LH[None], packed.positions_3L[:, None], layout)[0]
            scores = token_logprobs(
                hidden_LH[packed.predicting_T], self.head_VH, ids_BT[mask_BT], self.suppressed_V, temperature
            )
        zeros_BT = torch.zeros(mask_BT.shape, device=self.device)
        return TokenLogprobs(*(zeros_BT.masked_scatter(mask_BT, values_T) for values_T in scores))

    @torch.no_grad()
    def reference_logprobs(self, batch: GroupBatch, temperature: float) -> Tensor:
        """Log-probs [B, T] under the reference: the same network, adapter off."""
        with self.network.disable_adapter():
            return self.logprobs(batch, temperature).logprobs

    @contextmanager
    def _training(self, training: bool) -> Iterator[None]:
        """transformers checkpoints activations only in training mode; there is no dropout that it would wake."""
        self.language_model.train(training)
        try:
            yield
        finally:
            self.language_model.eval()


def _with_adapter(base: Any, lora: Lora, draws: Draws) -> Any:
    with needed_for("a LoRA adapter"):
        from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=lora_target(base, lora), task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws.at("lora").integer())
        return get_peft_model(base, config)


def _end_ids(base: Any, processor: Processor) -> tuple[int, ...]:
    configured = base.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return tuple(dict.fromkeys(int(i) for i in (*ids, processor.tokenizer.eos_token_id) if i is not None))
