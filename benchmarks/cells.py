"""How hard the embedded benchmark is for the embedded checkpoint, wording by wording.

`python benchmarks/cells.py --write docs/data.md` asks every wording of the training split of fresh scenes under the
pool's reasoning instruction, once greedily and G times at temperature 1, and writes the table into the page, between
the lines that mark it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rarl.config import Model, RewardSection
from rarl.data.phantom.loading import TUNED_MODALITIES, as_example
from rarl.data.phantom.questions import TASKS, Stratum, draw_item, wordings
from rarl.draws import Draws
from rarl.engines.native import NativeEngine
from rarl.grading import grade
from rarl.policy import Policy
from rarl.prompting import ask, load_pool, parse
from rarl.rewards import Scorer
from rarl.terminal import progress
from rarl.types import Example, Rollout, Sampling, Template

BEGIN, END = "<!-- cells: begin -->", "<!-- cells: end -->"
G = 8
MAX_NEW_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Cell:
    """One wording of one task: shares of right answers, truth of the reasoning, shares of groups with signal."""

    task: str
    wording: str
    greedy: float
    sampled: float
    facts: float  # mean grounding of the greedy completions: F1 of the stated facts
    accuracy_signal: float  # groups in which the accuracy reward alone differs
    signal: float  # groups in which the total of the default rewards differs


def examples(task: str, wording: str, n: int, seed: int) -> list[Example]:
    """Fresh questions in one wording, of the modalities that training shows."""
    draws = Draws(seed).at("cells", task, wording)
    items = (draw_item(draws.at(i).stream(), task, [wording], TUNED_MODALITIES) for i in range(n))
    return [as_example(item, f"cell-{seed}-{task}-{wording}-{i}") for i, item in enumerate(items)]


def right(rollout: Rollout) -> bool:
    """Whether the answer block holds the right answer."""
    example = rollout.prompt.example
    answer = parse(rollout.text, rollout.prompt.shape).answer or ""
    return grade(example.question, example.answer, answer, kind=example.kind, options=example.options).correct


def measure(engine: NativeEngine, scorer: Scorer, template: Template, items: Sequence[Example], task: str) -> Cell:
    """One cell, from n greedy completions and n groups."""
    prompts = [ask(item, template) for item in items]
    draws = Draws(0).at("cells")
    greedy = [group[0] for group in engine.generate(prompts, 1, Sampling(0, 1, MAX_NEW_TOKENS), draws)]
    groups = engine.generate(prompts, G, Sampling(1, 1, MAX_NEW_TOKENS), draws)
    verdicts = [[right(rollout) for rollout in group] for group in groups]
    scores = scorer.score([rollout for group in groups for rollout in group])
    totals = [{score.total for score in scores[i : i + G]} for i in range(0, len(scores), G)]
    return Cell(
        task=task,
        wording=items[0].question,
        greedy=statistics.mean(map(right, greedy)),
        sampled=statistics.mean(verdict for group in verdicts for verdict in group),
        facts=statistics.mean(parts["grounding"] or 0 for parts in scorer.parts(greedy)),
        accuracy_signal=statistics.mean(len(set(group)) > 1 for group in verdicts),
        signal=statistics.mean(len(total) > 1 for total in totals),
    )


def cells(engine: NativeEngine, stratum: Stratum, n: int, seed: int) -> Iterator[Cell]:
    """Every wording of a stratum."""
    reward = RewardSection()
    scorer, template = Scorer(reward.weights, reward.gates), load_pool("default").reasoning
    jobs = [(task, wording) for task in TASKS for wording in wordings()[task][stratum]]
    for task, wording in progress(jobs, f"{stratum} wordings", total=len(jobs)):
        cell = measure(engine, scorer, template, examples(task, wording, n, seed), task)
        yield Cell(**{**{name: getattr(cell, name) for name in Cell.__slots__}, "wording": wording})


def table(found: Sequence[Cell]) -> str:
    """The cells and their median, as Markdown, in per cent."""
    head = ("task", "wording", "greedy", "sampled", "F1 of facts", "signal, accuracy alone", "signal, all rewards")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    numbers = ("greedy", "sampled", "facts", "accuracy_signal", "signal")
    for cell in found:
        lines.append(" | ".join(["", cell.task, cell.wording, *(f"{100 * getattr(cell, x):.0f}" for x in numbers), ""]))
    for name, of in (("median", statistics.median), ("mean", statistics.mean), ("least", min), ("most", max)):
        values = (100 * of([getattr(cell, x) for cell in found]) for x in numbers)
        lines.append(" | ".join(["", f"**{name}**", "", *(f"{value:.0f}" for value in values), ""]))
    return "\n".join(line.strip() for line in lines)


def write(page: Path, text: str) -> None:
    """Replaces what stands between the marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="tiny", help="a checkpoint folder, or the embedded one")
    parser.add_argument("--n", type=int, default=200, help="questions a cell")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    parser.add_argument("--stratum", choices=("warm", "target", "new"), default="target")
    parser.add_argument("--write", type=Path, help="the page to write the table into; else it is only printed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    engine = NativeEngine(Policy.load(Model(base=arguments.base)), prompts_per_batch=50)
    text = table(list(cells(engine, arguments.stratum, arguments.n, arguments.seed)))
    print(text)
    if arguments.write:
        write(arguments.write, text)


if __name__ == "__main__":
    main()
