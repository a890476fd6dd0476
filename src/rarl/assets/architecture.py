"""The tiny checkpoint's architecture: Qwen2-VL's, with everything small."""

from __future__ import annotations

import torch
from transformers import PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

HIDDEN = 128
_TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    # A head has 16 rotated pairs, of which time, height and width get these; the base is low as texts are short.
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
    "tie_word_embeddings": True,
    "bos_token_id": None,
}
_VISION = {
    "depth": 3,
    "embed_dim": 128,
    "hidden_size": HIDDEN,
    "num_heads": 4,
    "mlp_ratio": 2,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen2VLForConditionalGeneration:
    """A model with random weights, in float32, for this tokenizer's vocabulary."""
    ids = tokenizer.get_vocab()
    ends = {"eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]}
    config = Qwen2VLConfig(
        text_config={**_TEXT, **ends, "vocab_size": len(tokenizer)},
        vision_config=_VISION,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config)
    for name, token_id in ends.items():
        setattr(model.generation_config, name, token_id)
    return model


def build_image_processor() -> Qwen2VLImageProcessorPil:
    """Qwen2-VL's processor; images from 56 x 56 to 448 x 448 pixels keep their size, up to multiples of 28."""
    return Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 448 * 448})
