"""The model that is trained: a frozen base with a LoRA adapter, sampled from and trained on as one network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.config import Lora, Model
from rarl.draws import Draws
from rarl.extras import needed_for
from rarl.policy.adapters import quiet_peft
from rarl.policy.attention import Layout, PackedGroups
from rarl.policy.features import FeatureFiles, feature_files
from rarl.policy.half import widen_linears
from rarl.policy.language import LanguageModel
from rarl.policy.loading import load_base, lora_target, require_supported, resolve_base
from rarl.policy.logprobs import TokenLogprobs, masked_logits, token_logprobs
from rarl.policy.processor import Processor
from rarl.policy.prompts import EncodedPrompt, Packed, encode, pack, predicting_rows
from rarl.policy.recording import Products, Recording
from rarl.policy.vision import VisionFeatures
from rarl.types import Prompt

PROMPTS_KEPT = 256  # encoded; a step's own, and some of those before


class Policy:
    """`network` is the PEFT model; without an adapter (a base to evaluate) it is the base itself."""

    def __init__(
        self,
        base: Any,
        processor: Processor,
        lora: Lora | None = None,
        draws: Draws | None = None,
        features: FeatureFiles | None = None,
    ) -> None:
        """`features` are those of images that are kept for later runs; by default they are in RAM alone."""
        if base.device.type == "cuda":  # cuDNN's attention plans anew for every shape, and ours are new in every step
            torch.backends.cuda.enable_cudnn_sdp(False)
        self.base, self.processor = base, processor
        self.vision = VisionFeatures(base, processor, features)
        widen_linears(base.model.visual)
        self.network = base if lora is None else _with_adapter(base, lora, draws or Draws(0))
        self.language = LanguageModel(base.model.language_model)
        self.head_VH: Tensor = base.lm_head.weight
        self.suppressed_V = processor.suppressed(len(self.head_VH), self.device)
        self.end_ids = _end_ids(base, processor)
        self.recording: Recording | None = None  # where sampling keeps what the next training pass can use
        self._encoded: dict[int, tuple[Prompt, EncodedPrompt]] = {}

    @classmethod
    def load(cls, model: Model, lora: Lora | None = None, draws: Draws | None = None) -> Policy:
        """The base of a config on its device, with a fresh adapter when `lora` is given. Errors: ModelError."""
        require_supported(model.base, model.trust_remote_code)
        processor = Processor.load(resolve_base(model.base), model.max_vision_tokens, model.trust_remote_code)
        policy = cls(load_base(model), processor, lora, draws, feature_files(model))
        policy.language.checkpointing = model.gradient_checkpointing
        if lora is not None:
            policy.network.peft_config["default"].base_model_name_or_path = model.base  # as the user knows it
        return policy

    @property
    def device(self) -> torch.device:
        return self.head_VH.device

    def trainable(self) -> list[torch.nn.Parameter]:
        """The adapter's parameters."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Tokens, positions and image features of a prompt; a prompt in use is encoded once."""
        known = self._encoded.get(id(prompt))
        if known is None:
            if len(self._encoded) == PROMPTS_KEPT:
                del self._encoded[next(iter(self._encoded))]
            # The prompt is kept with its encoding, so that no other can come to have its id.
            known = self._encoded[id(prompt)] = prompt, encode(prompt, self.base, self.processor, self.vision)
        return known[1]

    def hidden(self, packed: Packed, layout: Layout, products: Products) -> Tensor:
        """Last hidden states [N, H] of the rows that the layout reads."""
        embeddings_LH = self.language.embed(packed.ids_L.to(self.device))
        features = [features_VH for prompt in packed.prompts for features_VH in prompt.features_VH]
        if features:
            embeddings_LH[packed.is_image_L.to(self.device)] = torch.cat(features).to(embeddings_LH)
        rotation = self.language.rotation(packed.positions_3L.to(self.device))
        return self.language.hidden(embeddings_LH, rotation, layout, products)

    def logits(self, hidden_BH: Tensor, temperature: float = 1.0) -> Tensor:
        """Next-token logits [B, V], float32, suppressed tokens at -inf."""
        return masked_logits(hidden_BH, self.head_VH, self.suppressed_V, temperature)

    def logprobs(self, batch: GroupBatch, temperature: float, *, adapted: bool = True) -> TokenLogprobs:
        """Log-probs and entropies [B, T] of the batch's completions, each prompt computed once; 0 on padding."""
        self.language.refresh()
        lengths, rows = iter(batch.lengths), iter(batch.completion_ids_BT)
        fed = [[next(rows)[: next(lengths) - 1] for _ in range(size)] for size in batch.sizes]
        packed = pack([self.encode(prompt) for prompt in batch.prompts], fed)
        layout = PackedGroups(packed.prompt_lengths, packed.fed_lengths, self.device)
        hidden_NH = self.hidden(packed, layout, self._products(batch, adapted=adapted))
        predicting_T = predicting_rows(packed.fed_lengths).to(self.device)
        ids_BT, mask_BT = batch.completion_ids_BT.to(self.device), batch.mask_BT.to(self.device)
        scores = token_logprobs(hidden_NH[predicting_T], self.head_VH, ids_BT[mask_BT], self.suppressed_V, temperature)
        zeros_BT = torch.zeros(mask_BT.shape, device=self.device)
        return TokenLogprobs(*(zeros_BT.masked_scatter(mask_BT, values_T) for values_T in scores))

    def _products(self, batch: GroupBatch, *, adapted: bool) -> Products:
        """Those that sampling has recorded, once; else computed."""
        if not adapted or not torch.is_grad_enabled():
            return Products(adapted=adapted)
        recording, self.recording = self.recording, None
        replay = recording.replay(batch, keep=self.language.checkpointing) if recording else None
        return replay or Products()

    @torch.no_grad()
    def reference_logprobs(self, batch: GroupBatch, temperature: float) -> Tensor:
        """Log-probs [B, T] under the reference: the same network, adapter off."""
        return self.logprobs(batch, temperature, adapted=False).logprobs


def _with_adapter(base: Any, lora: Lora, draws: Draws) -> Any:
    with needed_for("a LoRA adapter"):
        from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=lora_target(base, lora), task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(devices=[]), quiet_peft():
        torch.manual_seed(draws.at("lora").integer())
        return get_peft_model(base, config)


def _end_ids(base: Any, processor: Processor) -> tuple[int, ...]:
    configured = base.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return tuple(dict.fromkeys(int(i) for i in (*ids, processor.tokenizer.eos_token_id) if i is not None))
