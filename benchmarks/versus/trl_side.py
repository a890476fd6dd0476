"""TRL's step: GRPOTrainer.train as it is, with a clock around its own methods.

One thing is dictated to it, by a logits processor: the step at which a row's end token comes, and that it comes at no
other. All else (processing the images, generation with its cache, padding, the masks behind the end token, both
passes, AdamW) is TRL's code and TRL's cost.

Its settings are the best for this work: SDPA, the fused head over completion tokens alone (TRL's default), no dropout,
no logging, no saving, no workers, checkpointing only when asked for. By default all completions of a step go through
one forward and backward, as on our side. Smaller micro-batches with gradient accumulation cost it no CPU time and save
much memory; CPU seconds and peak over baseline, `mid`, 256,8,64, float32, TRL 1.16, noise about 5 %:

    micro-batch      8 (default)   4       2       1
    training part    17.5, 18.0    15.9    16.9    18.5, 17.3
    step             25.4, 26.6    24.5    25.9    29.0, 27.4
    peak, MB         2197, 2092    1266    735     582, 537

So a ratio of memory holds for the micro-batch that it is stated with; `--trl-micro-batch` sets it.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
    TrainerCallback,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.processing_utils import ProcessorMixin
from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]

from versus.case import BETA, LEARNING_RATE, LORA, MAX_GRAD_NORM, Case
from versus.meter import Meter
from versus.weights import load_adapter, tiny_forward


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """Train for one step to warm up and `case.steps` to measure."""
    model = Qwen2VLForConditionalGeneration.from_pretrained(
        folder, dtype=getattr(torch, case.dtype), attn_implementation="sdpa"
    )
    lora = LoraConfig(
        r=LORA.r,
        lora_alpha=LORA.alpha,
        lora_dropout=0.0,
        target_modules=rf".*language_model.*\.({'|'.join(LORA.targets)})",
        task_type="CAUSAL_LM",
    )
    with tempfile.TemporaryDirectory() as out:
        trainer: Any = GRPOTrainer(
            model=model,
            reward_funcs=[_alternating],
            args=_settings(case, out),
            train_dataset=_dataset(case),
            processing_class=_processor(folder),
            peft_config=lora,
        )
        load_adapter(trainer.model, folder)
        meter = Meter(trainer.accelerator.device)
        lengths = _watch(trainer, case, meter)
        tiny_forward(trainer.model)
        meter.set_baseline()
        trainer.train()
    settings = ("per_device_train_batch_size", "gradient_accumulation_steps", "steps_per_generation")
    return {
        **meter.report(case.steps),
        **lengths,
        "settings": {name: getattr(trainer.args, name) for name in settings},
    }


def _settings(case: Case, out: str) -> GRPOConfig:
    micro_batch = case.micro_batch or case.completions
    return GRPOConfig(
        output_dir=out,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=case.completions // micro_batch,
        num_generations=case.group_size,
        num_iterations=1,
        max_completion_length=case.new_tokens,
        max_steps=1 + case.steps,
        beta=BETA,
        loss_type="grpo",
        temperature=1.0,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_grad_norm=MAX_GRAD_NORM,
        disable_dropout=True,
        use_bias_correction_kl=False,  # the same objective on both sides, and a little less to compute
        gradient_checkpointing=case.checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        bf16=case.dtype == "bfloat16",
        use_cpu=case.device == "cpu",
        shuffle_dataset=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        log_completions=False,
        log_multimodal=False,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )


def _alternating(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
    return [float(place % 2) for place in range(len(completions))]


def _dataset(case: Case) -> Dataset:
    """TRL puts the images before the text, as this package's prompts have them."""
    rows = []
    for prompt in case.prompts:
        [message] = prompt.messages
        text = {"role": message["role"], "content": message["content"][-1]["text"]}
        rows.append({"prompt": [text], "images": [source.read() for source in prompt.example.images]})
    return Dataset.from_list(rows)


def _processor(folder: Path) -> Qwen2VLProcessor:
    """Qwen2VLProcessor on PIL: its own check of its parts asks for those that need torchvision."""
    check: Any = ProcessorMixin.check_argument_for_proper_class

    def check_text_parts(self: Any, name: str, part: Any) -> Any:
        return type(part) if part is None or "image" in name or "video" in name else check(self, name, part)

    ProcessorMixin.check_argument_for_proper_class = check_text_parts  # type: ignore[method-assign]
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    return Qwen2VLProcessor(image_processor=images, tokenizer=tokenizer, chat_template=tokenizer.chat_template)


def _watch(trainer: Any, case: Case, meter: Meter) -> dict[str, list[int]]:
    """Put clocks, counters and lengths in; the prompts' and completions' lengths are there after the training."""
    seen: dict[str, list[int]] = {}
    network = trainer.model.get_base_model()
    meter.count_images(network.model.visual)
    meter.count_tokens(network.model.language_model)
    ends = EndAt(case.lengths if case.ragged else [], trainer.eos_token_ids)
    trainer.model.generate = partial(trainer.model.generate, logits_processor=LogitsProcessorList([ends]))

    generate, logprobs = trainer._generate, trainer._get_per_token_logps_and_entropies

    def sample(prompts: list[Any]) -> Any:
        ends.start = None
        with meter.phase("sampling"):
            out = generate(prompts)
        seen["prompt_tokens"] = [len(ids) for ids in out[0][:: case.group_size]]
        seen["completion_tokens"] = [len(ids) for ids in out[1]]
        if seen["completion_tokens"] != case.lengths:
            raise SystemExit(f"TRL's completions are not as long as wished: {seen} for {case.lengths}")
        return out

    def reference(*args: Any, **kwargs: Any) -> Any:
        timed = logprobs if torch.is_grad_enabled() else meter.timed("reference", logprobs)
        return timed(*args, **kwargs)  # with gradients it is the forward's, which has a clock

    steps = StepClock(meter)
    trainer._generate, trainer._get_per_token_logps_and_entropies = sample, reference
    trainer.compute_loss = meter.timed("forward", trainer.compute_loss)
    trainer.accelerator.backward = steps.after(meter.timed("backward", trainer.accelerator.backward))
    trainer.add_callback(steps)
    return seen


class EndAt(LogitsProcessor):
    """Row i ends with its `lengths[i]`-th token and not before; without lengths, no row ends."""

    def __init__(self, lengths: list[int], end_ids: list[int]) -> None:
        self.lengths, self.end_ids = torch.tensor(lengths), end_ids
        self.start: int | None = None  # how long the prompt is, known at the first token

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.start is None:
            self.start = input_ids.shape[1]
        scores[:, self.end_ids] = float("-inf")
        last_B = (self.lengths == input_ids.shape[1] - self.start + 1).nonzero()[:, 0].to(scores.device)
        if len(last_B):
            scores[last_B] = float("-inf")
            scores[last_B, self.end_ids[0]] = 0.0
        return scores


class StepClock(TrainerCallback):
    """The whole step, and the optimizer's part: what comes behind the last backward."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.began = self.last_backward = meter.now()

    def after(self, backward: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            backward(*args, **kwargs)
            self.last_backward = self.meter.now()

        return call

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 1:
            self.meter.restart()
        self.began = self.meter.now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.meter.add("optimizer", self.last_backward)
        self.meter.add("step", self.began)
