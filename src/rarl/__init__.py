"""rarl: teach small medical vision-language models to reason, with GRPO and LoRA on one GPU.

    import rarl
    run = rarl.train(rarl.RunConfig.load("configs/quickstart.toml"))

What needs more than the standard library is imported when it is first used: `import rarl` alone costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rarl import registry as _registry
from rarl.errors import (
    ConfigError,
    DataError,
    JudgeError,
    MissingExtraError,
    ModelError,
    RarlError,
    RewardError,
    RunFolderError,
)
from rarl.types import (
    Estimate,
    EvalRecord,
    Example,
    Fact,
    Family,
    Finish,
    Grade,
    Group,
    ImageSource,
    JudgeQuery,
    Message,
    Prompt,
    QuestionKind,
    Rollout,
    Sampling,
    Score,
    Shape,
    StepMetrics,
    Template,
    Verdict,
)

if TYPE_CHECKING:
    from rarl.assembly import predict, sft, train
    from rarl.config import RunConfig
    from rarl.data import load_dataset
    from rarl.evaluating import evaluate
    from rarl.evaluation import compare
    from rarl.exporting import export_merged as export
    from rarl.grading import grade
    from rarl.planning import plan

dataset = _registry.datasets.register
reward = _registry.rewards.register
engine = _registry.engines.register
judge = _registry.judges.register

_LAZY = {
    "RunConfig": "rarl.config:RunConfig",
    "compare": "rarl.evaluation:compare",
    "evaluate": "rarl.evaluating:evaluate",
    "export": "rarl.exporting:export_merged",
    "grade": "rarl.grading:grade",
    "load_dataset": "rarl.data:load_dataset",
    "plan": "rarl.planning:plan",
    "predict": "rarl.assembly:predict",
    "sft": "rarl.assembly:sft",
    "train": "rarl.assembly:train",
}

__all__ = [
    "ConfigError",
    "DataError",
    "Estimate",
    "EvalRecord",
    "Example",
    "Fact",
    "Family",
    "Finish",
    "Grade",
    "Group",
    "ImageSource",
    "JudgeError",
    "JudgeQuery",
    "Message",
    "MissingExtraError",
    "ModelError",
    "Prompt",
    "QuestionKind",
    "RarlError",
    "RewardError",
    "Rollout",
    "RunConfig",
    "RunFolderError",
    "Sampling",
    "Score",
    "Shape",
    "StepMetrics",
    "Template",
    "Verdict",
    "compare",
    "dataset",
    "engine",
    "evaluate",
    "export",
    "grade",
    "judge",
    "load_dataset",
    "plan",
    "predict",
    "reward",
    "sft",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'rarl' has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    globals()[name] = found = getattr(importlib.import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
