"""`rarl probe`: would a known way of gaming pay? Every attack of attacks.toml, on the data's own examples."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from statistics import fmean
from typing import Any

from rarl.prompting import Pool, ask
from rarl.rewards.columns import text_of
from rarl.rewards.combine import Scorer
from rarl.rewards.grounding import phrase_of
from rarl.rewards.wording import content_words, numbers, sentences
from rarl.types import Example, Finish, Prompt, QuestionKind, Rollout, Score, Shape

EXAMPLES = 8  # so many of a data set's are attacked, spread over the whole of it
DUST = 1e-9  # totals closer than this are equal
_TAGS = {"open": "<think>", "close": "</think>", "ask": "<answer>", "end": "</answer>"}
_WHOLE = {
    Shape.THINK: "{open} {reasoning} {close} {ask} {answer} {end}",
    Shape.THINK_AFTER: "{ask} {answer} {end} {open} {reasoning} {close}",
}


@dataclass(frozen=True, slots=True)
class Attack:
    """One way of gaming, as templates: attacks.toml says which names they may hold."""

    name: str
    family: str
    why: str
    reasoning: str = "{reasoning}"
    answer: str = "{answer}"
    completion: str = ""  # empty: the prompt's own shape

    @property
    def needs(self) -> set[str]:
        """The names that the templates hold."""
        texts = (self.reasoning, self.answer, self.completion)
        return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}

    def completed(self, shape: Shape, values: Mapping[str, str]) -> str:
        """The completion that the attack makes of an example's honest one."""
        inner = {key: getattr(self, key).format_map(values) for key in ("reasoning", "answer")}
        return (self.completion or _WHOLE[shape]).format_map({**values, **_TAGS, **inner})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attack earned, beside the honest completion of the same prompt."""

    name: str
    family: str
    why: str
    examples: int  # on so many both could be scored
    paid: int  # on so many of these it earned no less
    margin: float | None  # mean of attack minus honest
    paid_by: tuple[str, ...]  # where it pays: the rewards that give it more than they give the honest one


@dataclass(frozen=True, slots=True)
class Probe:
    """All attacks on one configuration of rewards."""

    examples: int
    outcomes: tuple[Outcome, ...]

    @property
    def paying(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.paid)

    def to_json(self) -> dict[str, Any]:
        return {"examples": self.examples, "pays": bool(self.paying), "attacks": [asdict(o) for o in self.outcomes]}

    def table(self) -> str:
        """One line an attack, those that pay first."""
        head = ("attack", "family", "pays", "margin", "paid by")
        ordered = sorted(self.outcomes, key=lambda outcome: -outcome.paid)
        rows = [head, *((o.name, o.family, _share(o), _margin(o), ", ".join(o.paid_by)) for o in ordered)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)


def probe(examples: Sequence[Example], scorer: Scorer, pool: Pool, count: int = EXAMPLES) -> Probe:
    """Score every attack on up to `count` examples against the plain honest completion of the same prompt.

    Honest is the right answer after the example's rationale, else after its facts as sentences, else after the
    question's words and the answer. An attack pays on an example where it earns no less.
    """
    chosen = [examples[i * len(examples) // count] for i in range(count)] if len(examples) > count else list(examples)
    prompts = [ask(example, pool.reasoning) for example in chosen]
    values = [_values(prompt, chosen) for prompt in prompts]
    honest = scorer.score([_rollout(p, _HONEST.completed(p.shape, v)) for p, v in zip(prompts, values, strict=True)])
    outcomes = []
    for attack in attacks():
        possible = [i for i in range(len(prompts)) if attack.needs <= {*values[i], *_TAGS}]
        gaming = scorer.score([_rollout(prompts[i], attack.completed(prompts[i].shape, values[i])) for i in possible])
        outcomes.append(_outcome(attack, zip((honest[i] for i in possible), gaming, strict=True), scorer))
    return Probe(len(chosen), tuple(outcomes))


@cache
def attacks() -> tuple[Attack, ...]:
    """The kit, read once."""
    table = tomllib.loads(files(__package__).joinpath("attacks.toml").read_text(encoding="utf-8"))
    return tuple(Attack(**row) for row in table["attack"])


_HONEST = Attack("honest", "", "")


def _outcome(attack: Attack, pairs: Iterable[tuple[Score, Score]], scorer: Scorer) -> Outcome:
    margins, gains = [], dict.fromkeys(scorer.weights, 0.0)
    for honest, gaming in pairs:
        if honest.total is not None and gaming.total is not None:
            margins.append(gaming.total - honest.total)
            if margins[-1] >= -DUST:
                ours, theirs = scorer.gated(honest.parts) or {}, scorer.gated(gaming.parts) or {}
                for name in gains:
                    gains[name] += scorer.weights[name] * (theirs.get(name, 0.0) - ours.get(name, 0.0))
    paid_by = sorted((name for name, gain in gains.items() if gain > DUST), key=lambda name: -gains[name])
    paid = sum(margin >= -DUST for margin in margins)
    mean = fmean(margins) if margins else None
    return Outcome(attack.name, attack.family, attack.why, len(margins), paid, mean, tuple(paid_by))


def _rollout(prompt: Prompt, text: str) -> Rollout:
    """As if sampled; its tokens are its words, so that a reward for length sees one."""
    tokens = tuple(range(len(text.split())))
    return Rollout(prompt, tokens, (0.0,) * len(tokens), text, Finish.STOP, seed=0)


def _values(prompt: Prompt, chosen: Sequence[Example]) -> dict[str, str]:
    """What the templates are filled with; a name is left out where the example or its data set has nothing for it."""
    example = prompt.example
    reasoning = honest_reasoning(example)
    others = [other for other in chosen if other.answer.casefold() not in _right(example)]
    values = {
        "question": example.question,
        "prompt": text_of(prompt.messages),
        "answer": example.answer,
        "named": "" if example.kind is QuestionKind.YESNO else example.answer,
        "reasoning": reasoning,
        "denied": " ".join(f"It is not so that {text[:1].lower()}{text[1:]}" for text in sentences(reasoning)),
        "wrong": _wrong(example, others),
        "options": ", ".join(example.options),
        "letters": ", ".join(string.ascii_uppercase[: len(example.options)]),
        "clash": _clash(example),
        "within": _within(example),
        "keywords": ", ".join(_keywords(chosen)),
        "other": next((honest_reasoning(other) for other in others if _observes(example) and _observes(other)), ""),
    }
    return {name: value for name, value in values.items() if value}


def honest_reasoning(example: Example) -> str:
    """The rationale, else the facts as sentences, else the question's words and the answer."""
    if example.rationale and example.rationale.strip():
        return example.rationale
    stated = [
        f"The {fact.name} is {fact.value}." if fact.alternatives else f"{phrase_of(fact).capitalize()}."
        for fact in example.facts
        if fact.value is not None
    ]
    return " ".join(stated) or f"About {' '.join(content_words(example.question))}: {example.answer}."


def _observes(example: Example) -> bool:
    return bool(example.rationale or any(fact.value is not None for fact in example.facts))


def _wrong(example: Example, others: Sequence[Example]) -> str:
    """A wrong answer: the other of two, one more, another option or value of its fact, else another example's."""
    if example.kind is QuestionKind.YESNO:
        return "no" if example.answer.strip().lower().startswith("y") else "yes"
    if example.kind is QuestionKind.NUMBER and numbers(example.answer):
        return f"{numbers(example.answer)[0] + 1:g}"
    values = next((fact.alternatives for fact in example.facts if fact.value == example.answer), ())
    rivals = [rival for rival in (*example.options, *values) if rival.casefold() not in _right(example)]
    alike = [other.answer for other in others if other.kind is example.kind]
    return next(iter((*rivals, *alike, *(other.answer for other in others))), "")


def _right(example: Example) -> set[str]:
    return {answer.casefold() for answer in (example.answer, *example.references)}


def _clash(example: Example) -> str:
    """The gold option's text under the letter of another one; empty without options."""
    if example.answer not in example.options or len(example.options) < 2:
        return ""
    at = (example.options.index(example.answer) + 1) % len(example.options)
    return f"{string.ascii_uppercase[at]}) {example.answer}"


def _within(example: Example) -> str:
    """A word that holds the gold answer as a piece: "normal" for no, "eyes" for yes; empty for an answer of several."""
    if example.kind is QuestionKind.YESNO:
        return "normal" if example.answer.strip().lower().startswith("n") else "eyes"
    return f"pre{example.answer}able" if example.answer.isalpha() else ""


def _keywords(chosen: Sequence[Example]) -> list[str]:
    texts = (f"{honest_reasoning(example)} {example.answer}" for example in chosen)
    return list(dict.fromkeys(word for text in texts for word in content_words(text)))[:24]


def _share(outcome: Outcome) -> str:
    return f"{outcome.paid} of {outcome.examples}" if outcome.examples else "-"


def _margin(outcome: Outcome) -> str:
    return "-" if outcome.margin is None else f"{outcome.margin:+.3f}"
