"""From an example and an instruction to the prompt: one user message, images first."""

import string

from rarl.draws import Draws
from rarl.errors import DataError
from rarl.prompting.pools import Pool
from rarl.types import Example, Prompt, Template


def ask(example: Example, template: Template) -> Prompt:
    """The example under this instruction: its images, then question, options and instruction, a line each."""
    text = "\n".join([*question_lines(example), template.text])
    content = [*({"type": "image"} for _ in example.images), {"type": "text", "text": text}]
    return Prompt(example=example, template=template, messages=({"role": "user", "content": content},))


def instruct(example: Example, pool: Pool, draws: Draws, *, diversity: bool, reasoning: bool = True) -> Prompt:
    """The prompt to train on: an instruction drawn for this example, or without diversity the one used at inference.

    The whole group of completions shares the prompt, so their rewards stay comparable.
    """
    if not diversity:
        return ask(example, pool.inference(reasoning))
    return ask(example, draws.at("template", example.id).stream().choice(pool.templates))


def question_lines(example: Example) -> list[str]:
    """The question, and a line of its options if it has any. DataError for more of them than there are letters."""
    question = example.question.strip()
    return [question, _options_line(example)] if example.options else [question]


def _options_line(example: Example) -> str:
    letters = string.ascii_uppercase
    if len(example.options) > len(letters):
        raise DataError(f"example {example.id}: {len(example.options)} options, at most {len(letters)} have letters")
    listed = (f"{letter}) {option}" for letter, option in zip(letters, example.options, strict=False))
    return f"Options: {' '.join(listed)}"
