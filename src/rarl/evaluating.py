"""From a configuration to evaluations: what `rarl eval` does, as functions, and what a run does before and after."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rarl.config import Control, Eval, RunConfig
from rarl.data import Dataset, load_dataset
from rarl.draws import Draws
from rarl.evaluation import Summary, read_records
from rarl.evaluation import evaluate as evaluate_dataset
from rarl.evaluation.bert import bert_score
from rarl.evaluation.likeness import Measure, rouge_l
from rarl.judges import MadeJudge, failures, require_scored
from rarl.judging import evaluation_judge
from rarl.policy import Policy
from rarl.policy.loading import threads_for
from rarl.prompting import Pool, load_pool
from rarl.registry import engines
from rarl.runlog import file_name, free_path
from rarl.types import Engine, Sampling, Shape, Template

logger = logging.getLogger("rarl")


class EvalSet(NamedTuple):
    """A split of a data set; `root` is where its files are, if it needs any."""

    data: str
    split: str
    root: str = ""


def evaluate(
    base: str,
    *,
    adapter: str | None = None,
    data: str,
    split: str,
    root: str = "",
    out: Path | None = None,
    overrides: Sequence[str] = (),
) -> Summary:
    """Answer and grade every question of a split; records.jsonl and summary.json in `out`, or a new folder."""
    folder = out or free_path(RunConfig().override(overrides).run.out, f"eval-{data}-{split}")
    config = _config(base, adapter, EvalSet(data, split, root), overrides)
    [summary] = evaluate_configs({folder: config}).values()
    return summary


def evaluate_sets(
    base: str,
    sets: Sequence[EvalSet],
    *,
    adapter: str | None = None,
    out: Path | None = None,
    overrides: Sequence[str] = (),
) -> dict[Path, Summary]:
    """Several splits with one loading of the model: each in a folder <set>-<split> of `out`, or of a new folder."""
    parent = out or free_path(RunConfig().override(overrides).run.out, "eval")
    folders = {parent / file_name(f"{Path(each.data).name}-{each.split}"): each for each in sets}
    return evaluate_configs({folder: _config(base, adapter, each, overrides) for folder, each in folders.items()})


def evaluate_configs(configs: Mapping[Path, RunConfig]) -> dict[Path, Summary]:
    """Several evaluations of one model, each in its folder; all have the first one's model, engine, pool and judge.

    All that can be wrong with the input is found before the model is loaded.
    """
    datasets = {folder: load_split(config, config.data.split, config.eval.limit) for folder, config in configs.items()}
    first = next(iter(configs.values()))
    pool, make_engine, judge = load_pool(first.prompt.pool), engines.get(first.rollout.engine), evaluation_judge(first)
    for config in configs.values():
        require_evaluable(pool, config)
    with threads_for(first.model.base), closing(make_engine(Policy.load(first.model))) as engine:
        return {
            folder: evaluate_split(engine, datasets[folder], pool, config, folder, judge)
            for folder, config in configs.items()
        }


def _config(base: str, adapter: str | None, each: EvalSet, overrides: Sequence[str]) -> RunConfig:
    named = {
        "model.base": base,
        "model.adapter": adapter or "",
        "data.name": each.data,
        "data.split": each.split,
        "data.root": each.root,
    }
    return RunConfig().override([*(f"{key}={json.dumps(value)}" for key, value in named.items()), *overrides])


def load_split(config: RunConfig, split: str, limit: int | None) -> Dataset:
    """A split of the configuration's data set; what was skipped is warned of."""
    data = config.data
    dataset = load_dataset(
        data.name,
        split=split,
        root=data.root,
        limit=limit,
        on_error=data.on_error,
        seed=config.run.seed,
        **data.options,
    )
    if dataset.skipped:
        where, why = dataset.skipped[0]
        logger.warning("%s %s: skipped %d (first: %s: %s)", data.name, split, len(dataset.skipped), where, why)
    return dataset


def template_of(pool: Pool, config: RunConfig) -> Template:
    """The instruction of an evaluation."""
    if config.eval.shape:
        return pool.of(Shape(config.eval.shape))
    return pool.inference(config.prompt.reasoning)


def require_evaluable(pool: Pool, config: RunConfig) -> None:
    """What is wrong with an evaluation's settings, told before anything is computed. Errors: RarlError."""
    template_of(pool, config)
    measures_of(config.eval)


def measures_of(settings: Eval) -> dict[str, Measure]:
    """The measures of likeness that were asked for, by protocol."""
    rouge = {"rouge_l": rouge_l()} if settings.rouge else {}
    return rouge | ({"bertscore": bert_score(settings.bertscore)} if settings.bertscore else {})


def evaluate_split(
    engine: Engine, dataset: Dataset, pool: Pool, config: RunConfig, folder: Path, judge: MadeJudge | None = None
) -> Summary:
    """One evaluation as the configuration wants it, with an engine that is there already.

    Errors: JudgeError where the judge left too much unscored; all that it scored is kept.
    """
    settings, model, chosen = config.eval, config.model, config.eval.baselines
    several = settings.samples > 1
    summary = evaluate_dataset(
        engine,
        dataset,
        template=template_of(pool, config),
        sampling=Sampling(
            temperature=settings.temperature if several else 0.0,
            max_new_tokens=config.rollout.max_new_tokens,
        ),
        draws=Draws(config.run.seed).at("evaluation"),
        folder=folder,
        samples=settings.samples,
        prompts_per_batch=settings.prompts_per_batch,
        control=settings.control,
        baselines=[Control.SWAPPED] * chosen if isinstance(chosen, bool) else [Control(each) for each in chosen],
        measures=measures_of(settings),
        judge=judge,
        judge_axes=judge.axes if judge else (),
        judge_about=config.judge.model_dump(
            mode="json", include={"kind", "base_url", "model", "temperature", "send_images"}
        ),
        about={
            "base": model.base,
            "adapter": model.adapter,
            "dtype": model.dtype,
            "quantization": model.quantization,
            "max_vision_tokens": model.max_vision_tokens,
            "engine": config.rollout.engine,
        },
    )
    if judge:
        verdicts = [verdict for record in read_records(folder) for verdict in record.verdicts.values()]
        require_scored(len(verdicts), failures(verdicts), config.judge.max_unscored)
    return summary
