"""Reward substance: does the reasoning say something about this image, in its own words and once?"""

from __future__ import annotations

from rarl.rewards.columns import Row, asks_for_reasoning, rowwise
from rarl.rewards.reasoning import read_row

ENOUGH_CONTENT = 3  # distinct words of observation from which on nothing more is earned
ENOUGH_OWN = 2  # of these, such as neither the prompt nor the answer holds
PLAIN = 0.2  # for saying what is asked in a sentence, and nothing else
PENALTY = 0.5  # what each hollow sentence leaves of the value
DENSITY = 0.2  # of the value, what long and empty wording costs at most
ROOM = 8  # so many spare words cost half of that
USEFUL = 6  # words of observation from which on more of them are spare as well


@rowwise(applies=asks_for_reasoning, needs="a prompt that asks for reasoning")
def substance(row: Row) -> float:
    """What `substance_of` finds in the reasoning."""
    return substance_of(row)


def substance_of(row: Row) -> float:
    """min(1, observed / 3, own / 2) x 0.5 ^ hollow sentences x (0.8 + 0.2 x 8 / (8 + spare words)).

    Observed are distinct words of observation outside hollow sentences, own those that neither prompt nor answer holds;
    spare are all other words, and own ones beyond six. Every one costs a little, so no length pays. 0 for a reasoning
    that talks to whoever scores, or hides something. What is hollow: see docs/rewards.md.
    """
    reading = read_row(row)
    if reading is None:
        return 0.0
    enough = min(1.0, len(reading.observed) / ENOUGH_CONTENT, len(reading.own) / ENOUGH_OWN)
    if not reading.own and reading.claims:
        enough = PLAIN
    spare = max(0, reading.words - min(len(reading.own), USEFUL))
    density = 1 - DENSITY + DENSITY * ROOM / (ROOM + spare)
    return enough * PENALTY**reading.hollow * density
