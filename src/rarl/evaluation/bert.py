"""BERTScore (Zhang et al. 2020) with a model in a local folder: no download, no baseline to rescale by."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rarl.errors import ModelError
from rarl.evaluation.likeness import Measure

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 64
_LONGEST = 512  # tokens, where a tokenizer doesn't say

# Which layer the authors found best, by kind of model and number of its layers; of others it is the last.
_LAYER = {
    ("bert", 12): 9,
    ("bert", 24): 18,
    ("roberta", 12): 10,
    ("roberta", 24): 17,
    ("distilbert", 6): 5,
    ("deberta", 12): 9,
    ("deberta", 48): 18,
    ("deberta-v2", 12): 9,
}


def bert_score(folder: str | Path) -> Measure:
    """F1 of BERTScore: no idf weights. The model is loaded at the first call; ModelError now if it isn't there."""
    path = Path(folder).expanduser()
    if not (path / "config.json").is_file():
        raise ModelError(f"eval.bertscore: {path} holds no model (no config.json); give the folder of one, BERT say")
    load = cache(lambda: _load(path))

    def measure(golds: Sequence[str], answers: Sequence[str]) -> list[float]:
        texts = list(dict.fromkeys((*golds, *answers)))
        embedded: dict[str, Tensor] = {}
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            embedded.update(zip(batch, _embed(batch, *load()), strict=True))
        return [_f1(embedded[gold], embedded[answer]) for gold, answer in zip(golds, answers, strict=True)]

    return measure


def _load(path: Path) -> tuple[Any, Any, int]:
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        # Neither code that comes with it nor a pickle, which may be any, is run.
        model = AutoModel.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).eval()
    except Exception as error:  # transformers raises nearly anything on files that are damaged
        raise ModelError(f"eval.bertscore: {path} cannot be loaded: {' '.join(str(error).split())}") from error
    layers = int(model.config.num_hidden_layers)
    return tokenizer, model, _LAYER.get((model.config.model_type, layers), layers)


def _embed(texts: Sequence[str], tokenizer: Any, model: Any, layer: int) -> list[Tensor]:
    """For each text the normalised hidden states [T, H] of its tokens at that layer, those at its two ends included."""
    import torch

    longest = min(tokenizer.model_max_length, _LONGEST)
    lead = " " if model.config.model_type == "roberta" else ""  # its words have one before them, the first one too
    words = [lead + text.strip() for text in texts]
    encoded = tokenizer(words, padding=True, truncation=True, max_length=longest, return_tensors="pt")
    with torch.no_grad():
        hidden_BTH = model(**encoded, output_hidden_states=True).hidden_states[layer]
    unit_BTH = torch.nn.functional.normalize(hidden_BTH.float(), dim=-1)
    rows = zip(unit_BTH, encoded["attention_mask"].bool(), strict=True)
    return [unit_TH[mask_T] for unit_TH, mask_T in rows]


def _f1(gold_TH: Tensor, answer_UH: Tensor) -> float:
    """Each token between the ends is matched with the likest of the other text, whose ends may be it."""
    if len(gold_TH) <= 2 or len(answer_UH) <= 2:
        return 0.0  # nothing was said
    alike_TU = gold_TH @ answer_UH.T
    recall = float(alike_TU.max(1).values[1:-1].mean())
    precision = float(alike_TU.max(0).values[1:-1].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
