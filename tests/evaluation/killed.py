"""Evaluations in processes of their own, each ended by SIGKILL at a moment that is asked for.

Reads lines of JSON [folder, moment, count]; forks, evaluates in the fork, and says by which status it ended. The moment
is "generate" or "judge" (before the count-th call), "half" (the count-th write of rows is cut in its middle), "fsync"
or "replace" (before the count-th), or "never". What model and judge were asked is appended to a file `asked`.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from evaluation.scripted import Named, Scripted
from rarl.data import Dataset
from rarl.draws import Draws
from rarl.evaluation import evaluate, statistics
from rarl.evaluation import records as store
from rarl.judges.asking import FunctionJudge
from rarl.prompting import load_pool
from rarl.types import Example, JudgeQuery, Prompt, QuestionKind, Sampling, Verdict

EXAMPLES = tuple(
    Example(f"q{n}", f"c{n // 2}", (Named(f"i{n // 2}"),), f"Is it in {n}?", "yes", kind=QuestionKind.YESNO)
    for n in range(8)
)


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def run(folder: str, moment: str, count: int) -> None:
    seen: Counter[str] = Counter()

    def is_now(name: str) -> bool:
        seen[name] += 1
        return (name, seen[name]) == (moment, count)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def watched(name, call):
        def watching(*arguments, **options):
            if is_now(name):
                die()
            return call(*arguments, **options)

        return watching

    def append_rows(path: Path, rows) -> None:
        rows = list(rows)
        if is_now("half"):
            text = "".join(map(store._line, rows)).encode()
            with path.open("ab", buffering=0) as file:
                file.write(text[: len(text) // 2])
            die()
        whole_rows(path, rows)

    whole_rows, store.append_rows = store.append_rows, append_rows
    os.fsync, os.replace = watched("fsync", os.fsync), watched("replace", os.replace)
    statistics.RESAMPLES = 100

    def note(kind: str, names: Sequence[str]) -> None:
        with open(f"{folder}/asked", "a") as file:
            file.write("".join(f"{kind} {name}\n" for name in names))

    def say(prompt: Prompt, sample: int) -> str:
        image = prompt.example.images[0].name
        note("answer", [f"{prompt.example.id} {image}"])
        return f"<think> It is seen on {image}. </think> <answer> yes </answer>"

    def judge(queries: Sequence[JudgeQuery]) -> list[Verdict]:
        note("judge", [f"{query.id} {query.axis}" for query in queries])
        return [Verdict(1 / 3, query.axis, f"on {query.id}", "m", "r") for query in queries]

    engine = Scripted(say)
    engine.generate = watched("generate", engine.generate)
    evaluate(
        engine,
        Dataset("ward", "test", EXAMPLES),
        template=load_pool("default").reasoning,
        sampling=Sampling(0.0),
        draws=Draws(0),
        folder=Path(folder, "eval"),
        prompts_per_batch=3,
        judge=FunctionJudge("m", watched("judge", judge)),
        judge_about={"kind": "m"},
    )


if __name__ == "__main__":
    main()
