"""The warm start: perception and speech from nothing, then, with the vision tower frozen, the faults to be unlearnt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from rarl.assets.architecture import HIDDEN
from rarl.assets.lessons import Batch, Classroom, Lesson
from rarl.data.phantom.scenes import words
from rarl.draws import Draws
from rarl.terminal import progress

BATCH_SIZE = 32
BUCKET = 4  # batches drawn together and cut by length: little is computed on padding
CELL_WEIGHTS = (0.3, 1.0, 1.0, 1.0, 1.0)  # of the classes of a vision token; most show no lesion

Teacher = Callable[[Draws], Lesson]


class _Lectures(IterableDataset[Batch]):
    """The batches of a stage, in a fixed order; made in a process of their own."""

    def __init__(self, teacher: Teacher, tokenizer: PreTrainedTokenizerFast, draws: Draws, steps: int) -> None:
        self._teacher, self._tokenizer, self._draws, self._steps = teacher, tokenizer, draws, steps

    def __iter__(self) -> Iterator[Batch]:
        classroom = Classroom(self._tokenizer)
        for first in range(0, self._steps, BUCKET):
            draws = self._draws.at(first)
            lessons = [self._teacher(draws.at(row)) for row in range(BATCH_SIZE * BUCKET)]
            lessons.sort(key=lambda lesson: sum(map(len, classroom.texts(lesson))))
            batches = [lessons[i : i + BATCH_SIZE] for i in range(0, len(lessons), BATCH_SIZE)]
            draws.at("order").stream().shuffle(batches)
            yield from (classroom.batch(batch) for batch in batches[: self._steps - first])


class Observer(nn.Module):
    """Reads lesions and modality off the vision tokens: the auxiliary loss that makes the tower look, then dropped."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.cells = nn.Linear(HIDDEN, len(CELL_WEIGHTS))
        self.modality = nn.Linear(HIDDEN, len(words().modalities))

    def loss(self, features_BVH: Tensor, batch: Batch) -> Tensor:
        logits_BVC = self.cells(features_BVH)
        weight = torch.tensor(CELL_WEIGHTS)
        cells = functional.cross_entropy(logits_BVC.flatten(0, 1), batch.cells_BV.flatten(), weight=weight)
        return cells + functional.cross_entropy(self.modality(features_BVH.mean(1)), batch.modalities_B)


def see(model: Qwen2VLForConditionalGeneration, batch: Batch) -> Tensor:
    """The merged vision tokens of the batch, [B, V, H]."""
    features: Tensor = model.model.visual(batch.pixel_values, grid_thw=batch.grid_B3).pooler_output
    return features.view(len(batch.grid_B3), -1, HIDDEN)


def speech_loss(model: Qwen2VLForConditionalGeneration, features_BVH: Tensor, batch: Batch) -> Tensor:
    """Weighted cross-entropy of the completions."""
    embeds = model.model.language_model.embed_tokens(batch.input_ids_BT)
    is_image = batch.input_ids_BT == model.config.image_token_id
    embeds = embeds.masked_scatter(is_image[..., None], features_BVH.flatten(0, 1))
    hidden = model.model.language_model(
        inputs_embeds=embeds, attention_mask=batch.mask_BT, position_ids=batch.positions_3BT, use_cache=False
    ).last_hidden_state
    weights = batch.weights_BT[:, 1:]
    learnt = weights > 0
    losses = functional.cross_entropy(
        model.lm_head(hidden[:, :-1][learnt]), batch.input_ids_BT[:, 1:][learnt], reduction="none"
    )
    return (losses * weights[learnt]).sum() / weights.sum()


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the warm start. `sees`: the vision tower learns; `speaks`: the language model does."""

    name: str
    teacher: Teacher
    steps: int
    lr: float
    sees: bool
    speaks: bool


def learn(
    model: Qwen2VLForConditionalGeneration,
    observer: Observer,
    tokenizer: PreTrainedTokenizerFast,
    stage: Stage,
    draws: Draws,
) -> None:
    """A stage of AdamW; the learning rate rises over 5 % of the steps and falls as a cosine to a twentieth."""
    learners = [
        *([model.model.visual, observer] if stage.sees else []),
        *([model.model.language_model] if stage.speaks else []),
    ]
    trained = [parameter for learner in learners for parameter in learner.parameters()]
    optimizer = _optimizer(trained, stage.lr)
    lectures = _Lectures(stage.teacher, tokenizer, draws.at(stage.name), stage.steps)
    batches = DataLoader(lectures, batch_size=None, num_workers=1, prefetch_factor=8)
    for step, batch in enumerate(progress(batches, stage.name, total=stage.steps)):
        for group in optimizer.param_groups:
            group["lr"] = stage.lr * _schedule(step, stage.steps)
        with torch.set_grad_enabled(stage.sees):
            features = see(model, batch)
        loss = torch.zeros(())
        if stage.sees:
            loss = loss + observer.loss(features, batch)
        if stage.speaks:
            loss = loss + speech_loss(model, features, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()


def _optimizer(parameters: Sequence[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """AdamW that decays matrices only."""
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr, betas=(0.9, 0.98))


def _schedule(step: int, steps: int) -> float:
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    return 0.05 + 0.95 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2
