"""A run in which everybody who may write something writes HTML and JavaScript; and one larger than most."""

import json
import random
from dataclasses import replace

import fake_run
import fake_training
from rarl.files import write_json
from rarl.types import StepMetrics, Verdict

# Each would set window.hacked, leave its element, or be filled in by a template.
ATTACKS = (
    "</script><script>window.hacked = 1</script>",
    '<img src="x" onerror="window.hacked = 1">',
    '"><svg onload="window.hacked = 1">',
    "' onmouseover='window.hacked = 1' x='",
    "</title></style></textarea><iframe src='https://evil.example/'></iframe>",
    "{{ 7 * 191 }} {% raw %} {# <!-- -->",
    "<!--<script>",
)
HOSTILE = " ".join(ATTACKS)


def make(path):
    """20 questions about which everything that can be text is HOSTILE; half of the verdicts disagree with the rules."""
    folder = fake_run.make(path, evaluated=False)
    loader = path.parent / "mine.py"
    text = loader.read_text().replace(
        'f"Question <b>{i}</b>?", "yes", ("yes", "no")', f"{HOSTILE!r} + str(i), {HOSTILE!r}"
    )
    loader.write_text(text)
    names = {"run.name": HOSTILE, "model.base": HOSTILE, "judge.kind": "openai", "judge.model": HOSTILE}
    config = folder.config.override([f"{key}={json.dumps(value)}" for key, value in names.items()])
    (folder.path / "config.toml").write_text(config.to_toml())
    for stage in ("before", ""):
        fake_run.evaluation(folder, stage, [_record(i, bool(i % 2) is bool(stage)) for i in range(20)])
    [place] = folder.path.glob("eval/mine*")
    write_json(place / "judge.json", {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "model": HOSTILE})
    fake_training.rollouts(folder, steps=3, questions=("q0", HOSTILE), text=HOSTILE)
    rows = [json.loads(line) for line in (folder.path / "rollouts.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"template": HOSTILE, "parts": {**row["parts"], HOSTILE: 0.5}}
    (folder.path / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder.append_metrics(StepMetrics(4, {f"reward/{HOSTILE.replace('/', '')}": 0.5}))
    folder.append_timings(1, {HOSTILE: 1.0, "whole": 1.0})
    write_json(
        folder.path / "environment.json",
        {"command": ["rarl", HOSTILE], "packages": {HOSTILE: HOSTILE}, "time": HOSTILE},
    )
    attack = dict.fromkeys(("name", "family", "why"), HOSTILE)
    write_json(
        folder.path / "probe.json",
        {"examples": 1, "attacks": [{**attack, "examples": 1, "paid": 1, "margin": 0.1, "paid_by": [HOSTILE]}]},
    )
    return folder


def _record(number, right):
    verdict = Verdict(float(number % 4 < 2), "correctness", HOSTILE, HOSTILE, HOSTILE)
    return replace(
        fake_run.record(number, right),
        question=HOSTILE + str(number),
        gold=HOSTILE,
        answer=HOSTILE if number else None,
        reasoning=HOSTILE,
        completions=(HOSTILE, HOSTILE),
        modality=HOSTILE,
        task=f"{HOSTILE} {number % 2}",
        options=(HOSTILE,),
        parts={HOSTILE: 0.5},
        verdicts={"correctness": verdict},
    )


def large(path, *, steps, questions, group=8, words=100):
    """A run of so many steps and questions with long texts, each image of 20 being many questions'."""
    rng = random.Random(0)
    folder = fake_run.make(path, evaluated=False)
    (folder.path / "metrics.jsonl").unlink()
    parts = ("format", "accuracy", "grounding", "consistency", "substance")
    for step in range(1, steps + 1):
        values = {f"reward/{name}": rng.random() for name in (*parts, "mean", "std_in_group")}
        folder.append_metrics(StepMetrics(step, {**values, "kl": rng.random(), "completion/length_mean": 99.0}))
    fake_training.timings(folder, steps=steps)
    long = "the lesion in the left upper zone is large " * (words // 9)
    with (folder.path / "rollouts.jsonl").open("w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            for number in range(group):
                scores = {name: rng.random() for name in parts}
                row = fake_training.rollout(step, f"q{step % questions}", number, long, parts=scores)
                file.write(json.dumps(row) + "\n")
    for stage in ("before", ""):
        fake_run.evaluation(folder, stage, [_long(i, rng.random() < 0.6, long, group) for i in range(questions)])
    return folder


def _long(number, right, text, group):
    made = fake_run.record(number, right)
    finishes = made.finishes * group
    return replace(made, reasoning=text, completions=(text,) * group, finishes=finishes, task=f"task {number % 60}")
