"""What training leaves in a run's folder beside metrics: rollouts, timings and a probe, with known numbers."""

import json

from rarl.files import write_json

PARTS = ("format", "accuracy", "grounding")


def rollouts(folder, *, steps=10, questions=("q0", "q1"), group=4, text="<think> so </think> <answer> yes </answer>"):
    """A group a step, questions in turn. Of each group completion i has accuracy i % 2 and advantage -1 or 1."""
    with (folder.path / "rollouts.jsonl").open("w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            for number in range(group):
                file.write(json.dumps(rollout(step, questions[(step - 1) % len(questions)], number, text)) + "\n")


def rollout(step, name, number, text="said", **changes):
    accuracy = float(number % 2)
    row = {
        "step": step,
        "id": name,
        "template": "explain-steps",
        "completion": text,
        "tokens": 10,
        "finish": "stop",
        "seed": number,
        "parts": {"format": 1.0, "accuracy": accuracy, "grounding": None if number == 0 else 0.5},
        "total": 0.5 + accuracy,
        "advantage": 2 * accuracy - 1,
    }
    return {**row, **changes}


def timings(folder, *, steps=10, **more):
    for step in range(1, steps + 1):
        folder.append_timings(step, {"sample": 2.0, "score": 0.5, "train": 1.0, "whole": 4.0, **more})


def probe(folder, *, paid=0):
    attack = {"name": "empty answer", "family": "empty", "why": "it says nothing", "examples": 4, "margin": -1.5}
    write_json(
        folder.path / "probe.json",
        {"examples": 4, "pays": bool(paid), "attacks": [{**attack, "paid": paid, "paid_by": ["format"] * paid}]},
    )
