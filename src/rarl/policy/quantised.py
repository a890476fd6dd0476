"""Weights in 4 bits (QLoRA, arXiv 2305.14314), by bitsandbytes: the language model's linears alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rarl.extras import needed_for

KEPT_WHOLE = ["visual", "model.visual", "lm_head"]  # the tower is small beside the rest, and the head is the embedding


def four_bit_config(dtype: torch.dtype) -> Any:
    """What transformers needs to load a checkpoint in 4 bits, computing in `dtype`. Errors: MissingExtraError."""
    with needed_for('model.quantization = "4bit"'):
        import bitsandbytes  # noqa: F401
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=KEPT_WHOLE,
    )


def is_quantised(weight: Tensor) -> bool:
    """Whether a weight is one of bitsandbytes' 4-bit ones."""
    return getattr(weight, "quant_state", None) is not None


def dequantised(weight: Any) -> Tensor:
    """[O, I] in the dtype that the checkpoint was loaded in."""
    from bitsandbytes.functional import dequantize_4bit

    wide_OI: Tensor = dequantize_4bit(weight.data, weight.quant_state)
    return wide_OI
