"""From a configuration to evaluations: what `rarl eval` does, as functions, and what a run does before and after."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from rarl.config import Control, Eval, JudgeSection, RunConfig
from rarl.data import Dataset, load_dataset
from rarl.data.overlap import fingerprints
from rarl.draws import Draws
from rarl.environment import describe_environment
from rarl.errors import ConfigError, JudgeError, RarlError, RunFolderError, UnscoredError
from rarl.evaluation import Summary, read_records
from rarl.evaluation import evaluate as evaluate_dataset
from rarl.evaluation.bert import bert_score
from rarl.evaluation.likeness import Measure, rouge_l
from rarl.evaluation.records import SETTINGS, WEIGHTS
from rarl.evaluation.run import SUMMARY
from rarl.files import file_name, free_path, write_json
from rarl.judges import MadeJudge, require_scored, same_judge_warning, tallies
from rarl.judging import evaluation_judge, trained_with
from rarl.policy import Policy
from rarl.policy.loading import threads_for
from rarl.prompting import Pool, load_pool
from rarl.registry import engines
from rarl.stopping import stoppable
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
    """Answer and grade every question of a split; records.jsonl and summary.json in `out`, or a new folder.

    Errors: RarlError; UnscoredError where the judge left too much unscored: all else is in the folder.
    """
    sets = [(data, split, root)]
    [summary] = evaluate_sets(base, sets, adapter=adapter, out=out, overrides=overrides).values()
    return summary


def evaluate_sets(
    base: str,
    sets: Sequence[tuple[str, ...]],
    *,
    adapter: str | None = None,
    out: Path | None = None,
    overrides: Sequence[str] = (),
) -> dict[Path, Summary]:
    """Several sets with one loading of the model, each as (data, split) or (data, split, root); summaries by folder.

    One alone is in `out` itself, or a new folder. Of several each is in a folder <data>-<split> of it, and the
    summary.json beside these has that of each under its folder's name. Errors as of `evaluate`.
    """
    named = [EvalSet(*each) for each in sets]
    names = [file_name(f"{PurePath(each.data).name}-{each.split}") for each in named]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigError(f"{twice[0]} is asked for twice, and both would be in one folder; evaluate it once")
    several = len(named) > 1
    parent = out or free_path(RunConfig().override(overrides).run.out, "eval" if several else f"eval-{names[0]}")
    if several and (parent / SETTINGS).exists():
        raise RunFolderError(f"{parent} holds the evaluation of one set; choose another folder for several")
    folders = [parent / name for name in names] if several else [parent]
    configs = [_config(base, adapter, each, overrides) for each in named]
    try:
        found = evaluate_configs(dict(zip(folders, configs, strict=True)), f"run this again with --out {parent}")
    except UnscoredError as error:
        _write_together(parent, error.found)
        raise
    _write_together(parent, found)
    return found


def _write_together(parent: Path, found: Mapping[Path, Summary]) -> None:
    """The summaries of several sets in the folder that theirs are in."""
    if parent not in found:
        write_json(parent / SUMMARY, {folder.name: summary.to_json() for folder, summary in found.items()})


def evaluate_configs(configs: Mapping[Path, RunConfig], remedy: str = "run this again") -> dict[Path, Summary]:
    """Several evaluations of one model, each in its folder; all have the first one's model, engine, pool and judge.

    All that can be wrong with the input is found before the model is loaded. Errors: RarlError; UnscoredError, when all
    sets are done, where the judge left too much of one unscored: `remedy` says how to go on.
    """
    datasets = {folder: load_questions(config, config.data.split) for folder, config in configs.items()}
    first = next(iter(configs.values()))
    pool, make_engine, judge = load_pool(first.prompt.pool), engines.get(first.rollout.engine), evaluation_judge(first)
    for config in configs.values():
        require_evaluable(pool, config)
    if trouble := judge.trouble():
        logger.warning("%s; answers are kept all the same, and judged by a later call", trouble)
    run, environment = _run_of(first.model.adapter), describe_environment()
    trained = trained_with(run) if run else None
    if run:
        _warn_of_leaks(run, datasets, configs)
    with (
        stoppable("records are kept: the same command goes on"),
        threads_for(first.model.base),
        closing(make_engine(Policy.load(first.model))) as engine,
    ):
        found = {
            folder: evaluate_split(engine, datasets[folder], pool, config, folder, judge, trained, environment)
            for folder, config in configs.items()
        }
    try:
        for folder, config in configs.items():
            require_judged(folder, config.judge, remedy)
    except JudgeError as error:
        raise UnscoredError(str(error), found) from None
    return found


def require_judged(folder: Path, settings: JudgeSection, remedy: str) -> None:
    """JudgeError where more than judge.max_unscored of what was judged in an evaluation's folder has no value."""
    counted = tallies(verdict for record in read_records(folder) for verdict in record.verdicts.values())
    require_scored(counted, settings.max_unscored, where=str(folder), remedy=remedy)


def _run_of(adapter: str) -> RunConfig | None:
    """The configuration that an adapter was trained under, where its run is still around it."""
    path = Path(adapter).resolve().parent / "config.toml"
    return RunConfig.load(path) if adapter and path.is_file() else None


def _config(base: str, adapter: str | None, each: EvalSet, overrides: Sequence[str]) -> RunConfig:
    named = {
        "model.base": base,
        "model.adapter": adapter or "",
        "data.name": each.data,
        "data.split": each.split,
        "data.root": each.root,
    }
    return RunConfig().override([*(f"{key}={json.dumps(value)}" for key, value in named.items()), *overrides])


def load_questions(config: RunConfig, split: str) -> Dataset:
    """What an evaluation asks of a split: all, or eval.limit of it, which are the same ones for every model."""
    return load_split(config, split, config.eval.limit, sampled=True)


def load_split(config: RunConfig, split: str, limit: int | None, sampled: bool = False) -> Dataset:
    """A split of the configuration's data set; what was skipped is warned of."""
    data, other = config.data, config.data.without
    known: frozenset[str] = frozenset()
    if other:
        images = fingerprints(load_dataset(other.name, split=other.split, root=other.root, **other.options))
        known = frozenset(images.values())
    dataset = load_dataset(
        data.name,
        split=split,
        root=data.root,
        limit=limit,
        on_error=data.on_error,
        seed=config.run.seed,
        sampled=sampled,
        without=known,
        window=data.window,
        frame=data.frame,
        frames=data.frames,
        stream=data.stream and not sampled,
        **data.options,
    )
    if other:
        note = "%s %s: left out %d whose image %s has"
        logger.info(note, data.name, split, dataset.overlapping, other.name)
    if dataset.skipped:
        where, why = dataset.skipped[0]
        logger.warning("%s %s: skipped %d (first: %s: %s)", data.name, split, len(dataset.skipped), where, why)
    return dataset


def warn_of_leaks(evaluation: Dataset, train: Dataset) -> None:
    """A warning where images that are evaluated on are also trained on: the same files, since pixels take long."""
    here = set(evaluation.images())
    if shared := len(here.intersection(train.images())):
        told = "%s %s: %d of its %d images are also in %s, which is trained on; see rarl data check"
        logger.warning(told, evaluation.name, evaluation.split, shared, len(here), train.split)


def _warn_of_leaks(trained: RunConfig, evaluations: Mapping[Path, Dataset], configs: Mapping[Path, RunConfig]) -> None:
    """The same of an adapter whose run is still around it, for evaluations of the data set that it was trained on."""
    for folder, evaluation in evaluations.items():
        if evaluation.name == trained.data.name:
            asked = configs[folder].data
            data = trained.data.model_copy(update={"root": asked.root, "on_error": "skip"})
            try:
                train = load_split(trained.model_copy(update={"data": data}), data.split, data.limit)
            except RarlError:
                logger.info("%s %s cannot be loaded: its images are not compared", data.name, data.split)
            else:
                warn_of_leaks(evaluation, train)


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
    engine: Engine,
    dataset: Dataset,
    pool: Pool,
    config: RunConfig,
    folder: Path,
    judge: MadeJudge | None = None,
    trained: JudgeSection | None = None,
    environment: Mapping[str, Any] | None = None,
) -> Summary:
    """One evaluation as the configuration wants it, with an engine that is there already.

    `trained` is the judge that rewarded the training of what is evaluated: the same one is warned of in the summary.
    `environment` is for a folder that is not within a run's, which has its own.
    """
    settings, model, chosen = config.eval, config.model, config.eval.baselines
    several = settings.samples > 1
    return evaluate_dataset(
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
        judge_about=_decides_verdicts(config.judge, judge),
        judge_warning=same_judge_warning(trained, config.judge) if trained else None,
        about={
            "base": model.base,
            "adapter": model.adapter,
            **({WEIGHTS: _digest(Path(model.adapter))} if model.adapter else {}),
            "dtype": model.dtype,
            "quantization": model.quantization,
            "max_vision_tokens": model.max_vision_tokens,
            "engine": config.rollout.engine,
        },
        environment=environment,
    )


def _digest(adapter: Path) -> str | None:
    """Of an adapter's weights: a folder that was moved holds the same, and one that was trained again holds others."""
    path = adapter.expanduser() / "adapter_model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else None


def _decides_verdicts(settings: JudgeSection, judge: MadeJudge | None) -> dict[str, Any]:
    """Not at which address the model is: a server may have moved. Nor how long its replies may be."""
    about = settings.model_dump(mode="json", include={"kind", "model", "temperature", "send_images"})
    return about | {"rubrics": judge.sent()["rubrics"]} if judge else about
