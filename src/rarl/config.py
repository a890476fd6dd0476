"""The configuration of a run: nested sections, TOML in and out, dotted overrides, errors that name the remedy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import tomli_w
from pydantic import Field, model_validator

from rarl.errors import ConfigError
from rarl.guarding import Guards
from rarl.sections import Section, assign, parse_value, read_toml, secret_among, validated


class Control(StrEnum):
    """What a question is asked without, to see what that was worth."""

    NONE = "none"  # nothing: the question with its own images
    BLANK = "blank"  # what the images show: grey ones of the same size
    SWAPPED = "swapped"  # its own images: those of another cluster
    QUESTION_ONLY = "question_only"  # any image


class Run(Section):
    method: Literal["grpo", "sft"] = "grpo"
    seed: int = Field(0, ge=0)
    name: str = ""  # empty: the config file's own name
    out: str = "runs"  # where run folders are made


class Model(Section):
    base: str = "Qwen/Qwen2-VL-2B-Instruct"  # hub id, folder, or "tiny" for the embedded checkpoint
    trust_remote_code: bool = False  # true: run the Python code that comes with the base, with all that you may do here
    adapter: str = ""  # a PEFT folder, merged into the base first: the reference is then base + adapter
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    deterministic: bool = False  # CUDA: the same bytes each time, at some cost of speed; a CPU gives them anyway
    quantization: Literal["none", "4bit"] = "none"  # 4bit: QLoRA, the language model's linears in bitsandbytes' nf4
    max_vision_tokens: int = Field(1024, ge=4)  # per image: 1,024 tokens are about 900 x 900 pixels
    gradient_checkpointing: bool = False
    cache_dir: str = ""  # where vision features outlive a run; empty: ~/.cache/rarl, "off": nowhere
    cache_gb: float = Field(50.0, gt=0)  # at most so much of them; what was used longest ago goes first


class Lora(Section):
    r: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Without(Section):
    """A data set whose images, by their pixels, no example may have."""

    name: str
    split: str = "train"
    root: str = ""
    options: dict[str, Any] = Field({})


class Data(Section):
    name: str = "phantom"
    root: str = ""  # where the files are; empty: the hub, or nothing where none are needed
    split: str = "train"
    limit: int | None = Field(None, ge=1)  # at most so many examples
    on_error: Literal["raise", "skip"] = "raise"
    stream: bool = False  # rows to train on are read and checked when their step comes: for tables of any length
    # Of DICOM, NIfTI and NumPy: a named window, such as "lung", or centre and width; the slice, from 0. docs/images.md
    window: str | tuple[float, float] | None = None
    frame: int | None = None
    frames: int | None = Field(None, ge=1)  # so many slices, evenly spaced, as several images
    options: dict[str, Any] = Field({})  # further arguments of the data set's own loader
    without: Without | None = None


class PromptSection(Section):
    pool: str = "default"  # a shipped pool, or a TOML file
    diversity: bool = True  # an instruction drawn for each training prompt; false: the one of inference
    reasoning: bool = True  # at inference: ask for reasoning before the answer


class RolloutSection(Section):
    group_size: int = Field(8, ge=2)
    prompts_per_step: int = Field(8, ge=1)
    max_new_tokens: int = Field(256, ge=1)
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    engine: str = "native"  # samples in training and evaluation; or your own: "my.py:factory", "package.module:factory"


class RewardSection(Section):
    weights: dict[str, float] = Field(
        {"format": 0.1, "accuracy": 1.0, "grounding": 0.4, "consistency": 0.2, "substance": 0.1}
    )
    # A gated part counts in proportion to its gates: r_k is multiplied by each gate's own value.
    # By default all but accuracy add up to less than what a wrong answer lacks: see docs/rewards.md.
    gates: dict[str, tuple[str, ...]] = Field(
        {
            "grounding": ("format", "substance"),
            "consistency": ("format", "accuracy", "substance"),
            "substance": ("format",),
        }
    )
    extra: tuple[str, ...] = ()  # "my.py:function" or "package.module:function"; weights by function name, else 1.0
    on_error: Literal["none", "stop"] = "none"  # a reward that raises: the row is not scored, or the run stops
    timeout: float = Field(300.0, ge=0)  # seconds for one call of a reward of your own, on all of a step; 0: any
    # What is normalised within a group: the total, or each part before they are added (GDPO, arXiv 2601.05242).
    normalise: Literal["total", "parts"] = "total"
    probe: Literal["off", "warn", "stop"] = "warn"  # before training: does any known way of gaming pay?


class JudgeSection(Section):
    # Scores evaluations, and is asked by a reward where its rules have nothing to check against (docs/judges.md).
    # "rules": the grading, no language model; rewards then ask nobody. "openai": any server that speaks this protocol,
    # the key from OPENAI_API_KEY. "local": a checkpoint on this machine. Or "my.py:function", as above.
    kind: str = "rules"
    base_url: str = ""  # of the server, with its /v1; empty: OpenAI's own
    model: str = ""  # its name at the server; local: hub id, folder, or "tiny"
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(1024, ge=1)  # of one reply, thoughts included
    concurrency: int = Field(8, ge=1)  # requests at once; local: prompts in a batch
    timeout: float = Field(60.0, gt=0)  # seconds for one request
    retries: int = Field(4, ge=0)  # after a request that failed for reasons that may pass
    max_requests: int | None = Field(None, ge=1)  # retries included; what is beyond stays unscored
    max_tokens_total: int | None = Field(None, ge=1)  # of prompts and replies together
    max_unscored: float = Field(0.1, ge=0, le=1)  # share beyond which the command fails, with what was scored kept
    cache: str = ""  # a file for verdicts, so that nothing is asked twice; empty: in ~/.cache/rarl, "off": nowhere
    send_images: bool = False  # false: only text leaves the machine


class Train(Section):
    steps: int = Field(200, ge=1)
    lr: float = Field(1e-5, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_steps: int = Field(5, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    loss: Literal["grpo", "dapo", "dr_grpo", "gspo", "cispo"] = "grpo"
    beta: float = Field(0.04, ge=0)  # weight of the KL against the reference; 0 saves the reference pass
    clip_low: float = Field(0.2, gt=0, lt=1)
    clip_high: float = Field(0.2, gt=0)
    updates_per_batch: int = Field(1, ge=1)
    max_grad_norm: float = Field(1.0, gt=0)
    resample: int = Field(0, ge=0)  # rounds of replacing groups in which all rewards are equal
    # Mean difference of a token's log-prob between engine and trainer beyond which a run stops; none: by the dtype.
    parity_tolerance: float | None = Field(None, gt=0)
    # A micro-batch holds whole groups, or parts of one, up to so many tokens; fewer where a run's memory is short.
    tokens_per_batch: int = Field(16384, ge=1)


class Sft(Section):
    target: Literal["answer", "rationale"] = "answer"


class Eval(Section):
    enabled: bool = True
    every_steps: int = Field(0, ge=0)  # 0: only before and after
    splits: tuple[str, ...] = ("test",)
    limit: int | None = Field(None, ge=1)
    samples: int = Field(1, ge=1)  # 1: greedy; more: majority vote at `temperature`
    temperature: float = Field(1.0, gt=0)
    prompts_per_batch: int = Field(16, ge=1)
    shape: Literal["", "think", "direct", "think-after"] = ""  # empty: as prompt.reasoning says
    control: Control = Control.NONE  # ask without the images, and nothing beside it
    # Further passes under these controls show what the image is worth; true: on swapped images.
    baselines: bool | tuple[Literal["blank", "swapped", "question_only"], ...] = True
    rouge: bool = False  # ROUGE-L besides; needs the package rouge-score
    bertscore: str = ""  # BERTScore besides: the folder of the model to compute it with


class Checkpoint(Section):
    every_steps: int = Field(50, ge=0)  # 0: only the final adapter, and what every_minutes asks for
    every_minutes: float = Field(10.0, ge=0)  # besides, after the first step that ends later than this; 0: not
    keep: int = Field(2, ge=1)  # the newest; the best is kept beside them
    # A column of metrics.jsonl, "-loss" where less is better; empty: accuracy on the first of eval.splits where it is
    # measured every so many steps, else the mean reward, or the loss of SFT.
    best: str = ""
    grace: float = Field(20.0, ge=0)  # seconds that a step may take to end after SIGTERM or Ctrl-C; 0: any


class Tracking(Section):
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()


class Report(Section):
    images: bool = True  # small copies of the examples' images in report.html; false: none leave the data's folder


# Settings that do not decide a result: where it is written, what is kept, how patiently a judge is asked. Guards decide
# one only where they fire, and a run that they stopped must be able to go on with other limits.
UNDECISIVE: Any = {
    "run": {"name", "out"},
    "model": {"cache_dir", "cache_gb"},
    "reward": {"probe", "timeout"},
    "judge": {"concurrency", "timeout", "retries", "max_requests", "max_tokens_total", "max_unscored", "cache"},
    "guards": True,
    "checkpoint": True,
    "tracking": True,
    "report": True,
}


class RunConfig(Section):
    """Everything that decides a run. Load with `RunConfig.load`, change with `.override`."""

    run: Run = Run()
    model: Model = Model()
    lora: Lora = Lora()
    data: Data = Data()
    prompt: PromptSection = PromptSection()
    rollout: RolloutSection = RolloutSection()
    reward: RewardSection = RewardSection()
    judge: JudgeSection = JudgeSection()
    train: Train = Train()
    sft: Sft = Sft()
    guards: Guards = Guards()
    eval: Eval = Eval()
    checkpoint: Checkpoint = Checkpoint()
    tracking: Tracking = Tracking()
    report: Report = Report()

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """A TOML file, then `section.key=value` overrides. Errors: ConfigError."""
        path = Path(path)
        values = read_toml(path, "the shipped recipes are in configs/")
        config = validated(cls, values, str(path)).override(overrides)
        if config.run.name:
            return config
        return config.override([f"run.name={json.dumps(path.stem)}"])

    def override(self, overrides: Sequence[str]) -> Self:
        """A changed copy; each override is `section.key=value`, the value in TOML's own syntax or a bare word."""
        values = self.model_dump(exclude_none=True)
        for override in overrides:
            key, equals, text = override.partition("=")
            if not equals or not key.strip():
                raise ConfigError(f"--set {override!r} must look like section.key=value")
            assign(values, key.strip().split("."), parse_value(text.strip()), override)
        return validated(type(self), values, "--set")

    def to_toml(self) -> str:
        """The whole configuration as TOML; `load` gives an equal one back."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def digest(self) -> str:
        """A short hash of what decides the result: not where it is written, nor how patiently a judge is asked."""
        values = self.model_dump(mode="json", exclude=UNDECISIVE)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    def fixed(self) -> dict[str, Any]:
        """What can't change once a run has begun: all but how long it is, what is evaluated, and where things go."""
        return self.model_dump(mode="json", exclude=UNDECISIVE | {"train": {"steps"}, "eval": True})

    @model_validator(mode="after")
    def _check_sections_agree(self) -> Self:
        weights = self.reward.weights
        for part, gates in self.reward.gates.items():
            for name in (part, *gates):
                if part in weights and name not in weights:
                    raise ValueError(f"reward.gates names {name!r}, which reward.weights lacks")
        negative = [name for name, weight in weights.items() if weight < 0]
        if negative:
            raise ValueError(f"reward.weights.{negative[0]} must be at least 0")
        if not any(weights.values()) and not self.reward.extra:
            raise ValueError("reward.weights has no positive weight: there is nothing to learn from")
        names = "split root limit on_error seed name sampled without window frame frames stream"
        taken = set(names.split()) & set(self.data.options)
        if taken:
            raise ValueError(f"data.options cannot hold {min(taken)!r}, which has a key of its own (docs/data.md)")
        further = self.data.without.options if self.data.without else {}
        if wrong := _wrong_with(self.judge) or secret_among("data.options", {**self.data.options, **further}):
            raise ValueError(wrong)
        return self


def _wrong_with(judge: JudgeSection) -> str:
    """What the judge's settings lack, if anything. A URL is never repeated: it may hold a password."""
    if judge.kind in ("openai", "local") and not judge.model:
        return f"judge.kind = {judge.kind} needs judge.model, the model to ask"
    if judge.send_images and judge.kind != "openai":
        return "judge.send_images = true needs judge.kind = openai: no other judge takes images from here"
    if judge.base_url:
        try:
            url = urlsplit(judge.base_url)
        except ValueError:
            return "judge.base_url is no URL"
        if url.scheme not in ("http", "https") or not url.hostname:
            return "judge.base_url must be a URL such as http://localhost:8000/v1"
        if "@" in url.netloc or url.query or url.fragment:
            return "judge.base_url must not hold a user, a password or a query; the key is read from OPENAI_API_KEY"
    return ""
