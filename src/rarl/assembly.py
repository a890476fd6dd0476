"""From a configuration to a run: what `rarl train`, `sft` and `predict` do, as functions."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from rarl.auditing import probe_at_start, warn_of_unused
from rarl.checkpoints import Checkpoint
from rarl.config import RunConfig
from rarl.data import Dataset
from rarl.data.checking import trouble
from rarl.data.identity import digests
from rarl.data.images import FileImage
from rarl.data.windows import Window
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.errors import DataError, MemoryShortError
from rarl.evaluating import evaluate as evaluate
from rarl.evaluating import evaluate_sets as evaluate_sets
from rarl.evaluating import (
    evaluate_split,
    load_questions,
    load_split,
    require_evaluable,
    require_judged,
    warn_of_leaks,
)
from rarl.evaluation import Summary
from rarl.exporting import require_joinable, save_adapter
from rarl.files import NotWrittenError, free_path, require_free, write_json, write_text
from rarl.judges import MadeJudge
from rarl.judging import evaluation_judge, judge_of, rewarding, trained_with
from rarl.locking import alone
from rarl.planning import advice, settled
from rarl.policy import Policy
from rarl.policy.features import OFF
from rarl.policy.loading import threads_for
from rarl.prompting import Pool, ask, load_pool, parse
from rarl.registry import engines
from rarl.reporting import Result, read_results, write_report
from rarl.resuming import change_length, go_on, is_finished, same_data, starting_point
from rarl.rewards import Probe, ScoredFile, Scorer, score_file
from rarl.rewards import probe as probe_rewards
from rarl.runlog import RunFolder
from rarl.stopping import Stop, stoppable
from rarl.training.batches import Batches
from rarl.training.grpo import Grpo
from rarl.training.guards import Guards
from rarl.training.learner import Learner
from rarl.training.loop import Evaluate, Step, Training
from rarl.training.metrics import Values
from rarl.training.reading import Reading
from rarl.training.supervised import Supervised, check_targets
from rarl.training.tracking import require_trackers, tracking
from rarl.types import Engine, Example, QuestionKind, Sampling

logger = logging.getLogger("rarl")

UNKNOWN = "unknown"  # the reference answer of a question that has none


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its folder, and before and after on each of eval.splits."""

    folder: Path
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of images without a label. `answer` is None if its text has none."""

    reasoning: str | None
    answer: str | None
    text: str


def train(config: RunConfig, *, out: Path | None = None) -> Run:
    """Train as the config says, evaluate before and after, and report, in a new folder. Errors: RarlError.

    The folder is `out`, or a new one under config.run.out. Whatever is wrong with the input is found before it is made.
    """
    path = require_free(out or free_path(config.run.out, _name(config.run.name, config.run.method)))
    config = settled(config)
    with threads_for(config.model.base):
        session = _Session.open(config)
        folder = RunFolder.create(path, config)
        with alone(path):
            return session.run(folder)


def sft(config: RunConfig, *, out: Path | None = None) -> Run:
    """The supervised baseline: the same data order, adapter and evaluation as `train`, on the config's sft.target."""
    return train(config.override(["run.method=sft"]), out=out)


def resume(folder: Path, overrides: Sequence[str] = ()) -> Run:
    """Go on with a run that was interrupted, from its newest sound checkpoint; a finished one is left as it is, unless
    train.steps is to be larger: its adapter then stays until there is the new one.

    `overrides` change settings that may change: train.steps, and sections that do not decide what is learnt.
    Errors: RunFolderError where another one is changed, or another process is at it; StoppedError after a signal.
    """
    run = RunFolder.open(folder)
    config = run.config.override(overrides)
    if is_finished(run, config):
        logger.warning("%s is finished: nothing was left to do", run.path)
        if not run.report.is_file():
            write_report(run.path)
        return Run(run.path, tuple(read_results(run.path)))
    with alone(run.path), threads_for(config.model.base):
        start = starting_point(run, config)
        session = _Session.open(config, probing=False)
        if run.data.is_file():
            session = replace(session, examples=same_data(run, session.examples))
        if overrides:
            change_length(run, config, start)
            write_text(run.path / "config.toml", config.to_toml())
        return session.run(run, start)


def score(source: Path, out: Path, config: RunConfig | None = None) -> ScoredFile:
    """Every part and the total of each completion in a JSONL file, as training under this config would pay it."""
    config = config or RunConfig()
    return score_file(source, out, Scorer.of(config, judge_of(config)), load_pool(config.prompt.pool))


def probe(config: RunConfig) -> Probe:
    """Whether a known way of gaming would pay under this config, on examples of its own training data."""
    examples = load_split(config, config.data.split, config.data.limit)
    return probe_rewards(examples.sample(), Scorer.of(config, judge_of(config)), load_pool(config.prompt.pool))


def predict(
    base: str,
    images: Sequence[Path],
    question: str,
    *,
    adapter: str | None = None,
    options: Sequence[str] = (),
    reasoning: bool = True,
    window: Window | None = None,
    frame: int | None = None,
) -> Prediction:
    """Answer a question about images that have no label, greedily. For research only: not for clinical use.

    `window` and `frame` are those of `rarl.data.images.load_image`.
    """
    # Nothing is left behind of an image that is asked about once.
    named = {"model.base": base, "model.adapter": adapter or "", "model.cache_dir": OFF}
    config = RunConfig().override([f"{key}={json.dumps(value)}" for key, value in named.items()])
    sources = tuple(FileImage(Path(image), window, frame) for image in images)
    for source in sources:
        source.read()  # a wrong file is told before the model is loaded
    kind = QuestionKind.MCQ if options else QuestionKind.OPEN
    example = Example("prediction", "prediction", sources, question, UNKNOWN, tuple(options), kind)
    if why := trouble(example):
        raise DataError(f"the question cannot be asked: {why}")
    pool = load_pool(config.prompt.pool)
    prompt = ask(example, pool.inference(reasoning))
    sampling = Sampling(temperature=0.0, max_new_tokens=config.rollout.max_new_tokens)
    with threads_for(base):
        [[rollout]] = NativeEngine(Policy.load(config.model)).generate([prompt], 1, sampling, Draws(0))
    parsed = parse(rollout.text, prompt.shape)
    return Prediction(parsed.reasoning, parsed.answer, rollout.text)


@dataclass(frozen=True)
class _Session:
    """Everything a run needs, loaded and checked."""

    config: RunConfig
    examples: Dataset
    evaluations: tuple[Dataset, ...]
    pool: Pool
    judge: MadeJudge  # of evaluations, and of rewards where it is a model: one, with one budget
    scorer: Scorer
    policy: Policy
    engine: Engine
    probed: Probe | None  # what the rewards would pay for, where that was looked at

    @classmethod
    def open(cls, config: RunConfig, probing: bool = True) -> _Session:
        require_trackers(config.tracking.trackers)
        pool, make_engine = load_pool(config.prompt.pool), engines.get(config.rollout.engine)
        judge = evaluation_judge(config)
        scorer = Scorer.of(config, rewarding(config, judge))
        examples = load_split(config, config.data.split, config.data.limit)
        probed = None
        if config.run.method == "sft":
            check_targets(examples.sample(), config.sft.target)
        else:
            warn_of_unused(scorer, examples.sample(), config, pool)
            probed = probe_at_start(examples.sample(), config, pool) if probing else None
        splits = config.eval.splits if config.eval.enabled else ()
        evaluations = tuple(load_questions(config, split) for split in splits)
        for evaluation in evaluations:
            warn_of_leaks(evaluation, examples)
        if evaluations:
            require_evaluable(pool, config)
        if config.model.adapter:
            require_joinable(config.model.adapter)
        policy = Policy.load(config.model, config.lora, Draws(config.run.seed))
        return cls(config, examples, evaluations, pool, judge, scorer, policy, make_engine(policy), probed)

    def run(self, folder: RunFolder, start: Checkpoint | None = None) -> Run:
        """Evaluate, train from where the folder stands, save the adapter, evaluate, report; then close the engine."""
        how = f"go on with rarl train --resume {folder.path}"
        try:
            with closing(self.engine), stoppable(how, self.config.checkpoint.grace) as stop:
                return self._run(folder, start, stop)
        except NotWrittenError as error:
            raise NotWrittenError(f"{error}, and {how}: what was saved before is whole") from None

    def _run(self, folder: RunFolder, start: Checkpoint | None, stop: Stop) -> Run:
        config = self.config
        if not folder.data.is_file():
            write_json(folder.data, digests(self.examples))
        skipped = {data.split: data.skipped for data in (self.examples, *self.evaluations) if data.skipped}
        if skipped:
            write_json(folder.path / "skipped.json", skipped)
        if self.probed:
            write_json(folder.path / "probe.json", self.probed.to_json())
        learner = Learner(self.policy, config.train)
        reading = Reading(self.policy, learner, folder, config.data.on_error == "skip")
        per_step, draws = config.rollout.prompts_per_step, Draws(config.run.seed)
        batches = Batches(self.examples, per_step, draws, reading.usable, reading.begin)
        self._evaluate(folder, "before")  # a fresh adapter is zero: this is the base
        go_on(learner, folder, start)
        with tracking(config, folder) as track:
            step, evaluate = self._step(learner, batches, folder), self._evaluation_metrics(folder)
            try:
                Training(step, learner, batches, config, folder, evaluate, track, stop, reading.waited).run()
            except MemoryShortError as error:
                raise MemoryShortError(f"{error}; {advice(config)}; or go on elsewhere: {folder.path}") from None
        after = self._evaluate(folder, "")
        save_adapter(self.policy, config, folder.adapter, [summary.to_json() for summary in after])
        write_report(folder.path)
        return Run(folder.path, tuple(read_results(folder.path)))

    def _step(self, learner: Learner, batches: Batches, folder: RunFolder) -> Step:
        allow = Guards(self.config, learner, folder).allow
        if self.config.run.method == "sft":
            return Supervised(self.policy, learner, self.pool, self.config, allow).step
        write = folder.append_rollouts
        return Grpo(self.policy, self.engine, learner, batches, self.pool, self.scorer, self.config, write, allow).step

    def _evaluate(self, folder: RunFolder, stage: str) -> tuple[Summary, ...]:
        judge = self.judge if stage in ("before", "") else None  # between, rules are enough
        trained = None if stage == "before" else trained_with(self.config)
        places = [(data, folder.evaluation(data.name, data.split, stage)) for data in self.evaluations]
        found = tuple(
            evaluate_split(self.engine, data, self.pool, self.config, place, judge, trained) for data, place in places
        )
        for _, place in places if judge else ():
            require_judged(place, self.config.judge, f"go on with rarl train --resume {folder.path}")
        return found

    def _evaluation_metrics(self, folder: RunFolder) -> Evaluate:
        def evaluate_stage(stage: str) -> Values:
            summaries = zip(self.evaluations, self._evaluate(folder, stage), strict=True)
            return {
                f"eval/{data.split}/{metric}": summary.metrics[metric].mean
                for data, summary in summaries
                for metric in ("accuracy", "reasoning")
                if metric in summary.metrics
            }

        return evaluate_stage


def _name(name: str, method: str) -> str:
    """What a run's folder is called: the arm to compare with is not to be taken for GRPO's."""
    return f"{name}-sft" if method == "sft" and name and "sft" not in name else name or method
