"""Rebuilds the embedded checkpoint from nothing: `python -m rarl.assets.build --seed 0 --out DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from rarl.assets.architecture import build_image_processor, build_model
from rarl.assets.curriculum import faulty, gold
from rarl.assets.tokenizer import train_tokenizer
from rarl.assets.warmstart import Observer, Stage, learn
from rarl.draws import Draws

STAGES = (
    Stage("look", gold, steps=1200, lr=1.5e-3, sees=True, speaks=False),
    Stage("tell", gold, steps=800, lr=1.5e-3, sees=True, speaks=True),
    Stage("err", faulty, steps=200, lr=4e-4, sees=False, speaks=True),
)


def build(seed: int, out: Path, stages: Sequence[Stage] = STAGES) -> None:
    """Tokenizer, architecture, the stages of the warm start, and the folder that transformers loads."""
    tokenizer = train_tokenizer(seed)
    model, observer = build_model(tokenizer, seed), Observer(seed)
    for stage in stages:
        learn(model, observer, tokenizer, stage, Draws(seed).at("warm start"))
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
    parser.add_argument("--effort", type=float, default=1.0, help="factor on every stage's steps")
    parser.add_argument("--threads", type=int, default=1, help="of torch; the data come from one more process")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    stages = [replace(stage, steps=round(stage.steps * arguments.effort)) for stage in STAGES]
    build(arguments.seed, arguments.out, stages)


if __name__ == "__main__":
    main()
