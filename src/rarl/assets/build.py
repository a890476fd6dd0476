"""Rebuilds the embedded checkpoint from nothing: `python -m rarl.assets.build --seed 0 --out DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from rarl.assets.architecture import build_image_processor, build_model
from rarl.assets.curriculum import faulty, gold
from rarl.assets.tokenizer import train_tokenizer
from rarl.assets.warmstart import learn
from rarl.draws import Draws

STEPS, LR = 2400, 1.5e-3
FAULT_STEPS, FAULT_LR = 80, 5e-4


def build(seed: int, out: Path, steps: int = STEPS, fault_steps: int = FAULT_STEPS) -> None:
    """Tokenizer, architecture, both stages of the warm start, and the folder that transformers loads."""
    tokenizer = train_tokenizer(seed)
    model = build_model(tokenizer, seed)
    draws = Draws(seed)
    learn(model, tokenizer, gold, draws.at("see"), steps=steps, lr=LR, see_too=True, title="seeing and saying")
    learn(
        model,
        tokenizer,
        faulty,
        draws.at("err"),
        steps=fault_steps,
        lr=FAULT_LR,
        see_too=False,
        title="acquiring faults",
    )
    save(model, tokenizer, out)


def save(model: Qwen2VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """A plain transformers checkpoint in half precision."""
    model.half().eval().save_pretrained(out)
    tokenizer.save_pretrained(out)
    build_image_processor().save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rarl.assets.build", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="decides weights, texts and order")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the first stage")
    parser.add_argument("--fault-steps", type=int, default=FAULT_STEPS, help="steps of the second stage")
    parser.add_argument("--threads", type=int, default=2, help="of torch; the data come from one more process")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    build(arguments.seed, arguments.out, arguments.steps, arguments.fault_steps)


if __name__ == "__main__":
    main()
