"""The examples that a report shows: which ones, with all that was said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rarl.draws import Draws
from rarl.errors import RarlError
from rarl.prompting import load_pool
from rarl.reporting.breakdown import QuestionSet
from rarl.reporting.cards import Answer, Card, Visit, about
from rarl.reporting.pictures import Library
from rarl.reporting.rollouts import Row
from rarl.reporting.sources import Source

Rank = Callable[[str], int]  # of a question: which ones are shown, in which order; drawn by its id
LONGEST = 4000  # characters of a text in the page

FILTERS = {  # what the browser can show, by tag
    "wrong": "Wrong",
    "improved": "Improved",
    "worse": "Got worse",
    "right": "Right throughout",
    "disagree": "Judge and rules disagree",
    "training": "Training groups",
}
_OF_ONE = {"right": "Right"}  # where no question was answered twice
# Every held-out question has one of these, by its first and its last answer.
CHANGES = ("improved", "worse", "still-wrong", "right")


@dataclass(frozen=True, slots=True)
class Browser:
    """The examples of a page; `shown` tells of each set how many of how many there are, `drawn` if any are left out."""

    cards: Sequence[Card]
    shown: Sequence[str]
    drawn: bool = False

    @property
    def changes(self) -> bool:
        """Whether any question was answered more than once, before and after or by several runs."""
        return any(len(card.answers) > 1 for card in self.cards)

    @property
    def judged(self) -> bool:
        return any(answer.judged for card in self.cards for answer in card.answers)

    @property
    def filters(self) -> list[tuple[str, str, int]]:
        """(tag, in words, how many cards have it) of all that finds something."""
        labels = FILTERS if self.changes else FILTERS | _OF_ONE
        counts = {tag: sum(tag in card.tags for card in self.cards) for tag in labels}
        return [("all", "All", len(self.cards)), *((tag, labels[tag], count) for tag, count in counts.items() if count)]


def browse(
    sources: Sequence[Source], sets: Sequence[QuestionSet], library: Library, count: int, seed: int = 0
) -> Browser:
    """About `count` examples of the evaluations in all, and a few groups of training."""
    rank = _ranks(seed)
    cards: list[Card] = []
    shown: list[str] = []
    drawn = False
    for each in sets:
        mine = choose(_cards(each), count // len(sets), rank)
        cards += [library.illustrated(card, each.runs) for card in mine]
        total = len({record.id for member in each.members for record in member.evaluation.records})
        shown.append(f"{len(mine):,} of {total:,} questions of {each.title}")
        drawn |= len(mine) < total
    for source in sources:
        mine = _training_cards(source, len(sources), count)
        cards += [library.trained(card, source) for card in mine]
        if mine:
            of = f" of {source.label}" if len(sources) > 1 else ""
            shown.append(f"{len(mine):,} of {source.rollouts.questions:,} questions that came up in training{of}")
    return Browser(cards, shown, drawn)


def choose(cards: Sequence[Card], count: int, rank: Rank) -> list[Card]:
    """About `count` cards that show each kind of change and, where there are some, disagreements; drawn by rank.

    Not a random sample: what is rare is over-represented, and the page says so.
    """
    ordered = sorted(cards, key=lambda card: rank(card.id))
    chosen = {card.id: card for card in [card for card in ordered if "disagree" in card.tags][: count // 5]}
    kinds = [[card for card in ordered if change in card.tags and card.id not in chosen] for change in CHANGES]
    room = count - len(chosen)
    for left, kind in zip(range(len(kinds), 0, -1), sorted(kinds, key=len), strict=True):
        taken = kind[: room // left]  # rare kinds first: what they leave goes to the others
        chosen |= {card.id: card for card in taken}
        room -= len(taken)
    return sorted(chosen.values(), key=lambda card: rank(card.id))


def clipped(text: str, longest: int = LONGEST) -> str:
    """At most so many characters, and how many are missing."""
    return text if len(text) <= longest else f"{text[:longest]} ... ({len(text) - longest:,} more characters)"


def _ranks(seed: int) -> Rank:
    draws = Draws(seed).at("report")
    return lambda name: draws.at(name).integer()


def _cards(questions: QuestionSet) -> list[Card]:
    """Every question of the set with what each member answered."""
    answers: dict[str, list[Answer]] = {}
    for member in questions.members:
        label = member.label if len(questions.members) > 1 else "Answer"
        for record in member.evaluation.records:
            answers.setdefault(record.id, []).append(Answer(label, record))
    instruction = str(questions.runs[0][1].after.summary.settings.get("instruction", ""))
    return [_card(questions.title, instruction, each) for each in answers.values()]


def _card(source: str, instruction: str, answers: Sequence[Answer]) -> Card:
    first, last = answers[0].record, answers[-1].record
    gold = " or ".join((last.gold, *last.references))
    tags = [_change(first.grade.correct, last.grade.correct)]
    tags += ["wrong"] if not last.grade.correct else []
    tags += ["disagree"] if any(answer.disputed for answer in answers) else []
    return Card(
        last.id,
        source,
        last.question,
        gold,
        last.options,
        about(last),
        tags,
        instruction,
        answers,
    )


def _change(before: bool, after: bool) -> str:
    if before == after:
        return "right" if after else "still-wrong"
    return "improved" if after else "worse"


def _training_cards(source: Source, runs: int, count: int) -> list[Card]:
    """The sampled questions of a run's training; what was asked is not in the log and is filled in later."""
    if source.config is None:
        return []
    try:
        templates = {each.id: each.text for each in load_pool(source.config.prompt.pool).templates}
    except RarlError:
        templates = {}  # the pool's file is gone: the id of the instruction is still there
    groups = list(source.rollouts.groups.items())[: max(1, count // 5 // runs)] if count else []
    name = f"training of {source.label}" if runs > 1 else "training"
    return [
        Card(item, name, "", None, (), (), ["training"], visits=_visits(found, templates)) for item, found in groups
    ]


def _visits(groups: Iterable[Sequence[Row]], templates: Mapping[str, str]) -> list[Visit]:
    return [Visit(rows[0]["step"], templates.get(rows[0]["template"], rows[0]["template"]), rows) for rows in groups]
