"""Reward format: does the completion have exactly the shape that was asked for?"""

from rarl.rewards.columns import Row, rowwise


@rowwise()
def format(row: Row) -> float:  # noqa: A001  the reward's public name
    """1 for the shape's blocks, each once and in order, with an answer that is not empty and nothing outside.

    Else half of the share of blocks that are there once: never more than 0.5, and 0 without any. An empty answer is
    none; an empty reasoning is the business of the rewards for reasoning, so that filling it up pays nothing here.
    """
    blocks = [row.parsed.answer or None, *([row.parsed.reasoning] if row.shape.reasons else [])]
    there = sum(block is not None for block in blocks)
    if row.parsed.well_formed and there == len(blocks):
        return 1.0
    return 0.5 * there / len(blocks)
