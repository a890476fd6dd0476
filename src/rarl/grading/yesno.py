"""Yes or no, as a word or as a sentence about what was asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rarl.grading.asked import Asked, asked_of, denied_opposites, empty, opposites
from rarl.grading.case import Case, Outcome, hedged, plain, right, sentences_with, wrong
from rarl.grading.denials import beyond_be, clauses_of, deniers, questions
from rarl.grading.lexicon import lexicon
from rarl.grading.quantities import Quantity, is_measure, within
from rarl.grading.reading import MARKS
from rarl.grading.slots import conflict, stands, two_valued
from rarl.grading.tables import Words, fillers, word_set

_CUES = frozenset(("no", "not"))
_OF_IMAGES = frozenset(("imaging modality", "imaging plane", "mr weighting", "projection"))  # slots
_SUBJECTS = frozenset(("it", "they", "there", "this", "that", "these", "he", "she", "i", "we"))
_ENDS = (("1",), ("at", "all"))  # "there is one", "not at all"
_DETERMINERS = frozenset(("a", "an", "the", "any"))
_EQUAL = frozenset(("equal", "same", "similar"))
_ONLY = frozenset(("only", "just"))


def grade_yesno(case: Case, gold: bool) -> Outcome:
    """Right when the prediction says what the gold says, once, and nothing against it."""
    said = set(_words_said(case.prediction, case.question))
    stated = set(_stances(case))
    if len(said) == 2 or (not said and len(stated) == 2):
        return wrong("both answers")
    if not said and not stated:
        return wrong("no answer")
    if said and stated - said and not asked_of(case.question).negated:
        return wrong("answer and explanation contradict each other")
    claim = sentences_with(case.prediction, ("yes", "no", "not")) if said else case.prediction
    if hedged(case, claim):
        return wrong("hedged")
    rule = "yes or no" if said else "statement"
    return right(rule) if (said or stated) == {gold} else wrong(rule)


def _words_said(words: Words, question: Words) -> Iterator[bool]:
    """Each yes and each no that is an answer of its own, not a determiner."""
    alone = plain(words)
    if len(alone) == 1 and not (asked_of(question).negated and alone[0] in word_set("polarity", "there_alone")):
        if alone[0] in word_set("polarity", "yes_alone"):
            yield True
        if alone[0] in word_set("polarity", "no_alone"):
            yield False
    yes, no = word_set("polarity", "yes"), word_set("polarity", "no")
    for at, word in enumerate(words):
        if word in yes:
            if words[at - 1 : at] != ("not",) and beyond_be(words, at + 1) not in word_set("negation", "after"):
                yield True
        elif word in no and _is_answer(words, at, question):
            yield False


def _is_answer(words: Words, at: int, question: Words) -> bool:
    following = words[at + 1] if at + 1 < len(words) else "."
    first = at
    while first > 0 and (words[first - 1] not in MARKS or words[first - 1] == ":"):
        first -= 1
    if "yes" in words[:at] and following in MARKS and words[at - 1 : at] == (":",) and len(words[at - 2]) == 1:
        return True  # "A: yes, B: no"
    told = [word for word in words[first:at] if word not in MARKS]
    before = [word for word in told if word not in fillers()]
    if "yes" in (following, *words[max(0, at - 1) : at]) or words[at - 2 : at] in (
        ("yes", "and"),
        ("yes", "or"),
        ("yes", "/"),
    ):
        return True  # "yes no", "yes and no": both
    if words[at + 1 : at + 3] in ((",", "yes"), ("/", "yes")):
        return True
    if words[at - 1 : at] in (("and",), ("or",), ("but",)) and "yes" in words[:at]:
        return following in MARKS or following in word_set("polarity", "after_answer")
    if following in MARKS:
        return word_set("polarity", "before_answer").issuperset(set(before) - set(question))
    empty = not _says_more(words, at + 1)  # "no of the picture"
    if told and following in _DETERMINERS:
        return False  # "the lung no a fissure": it lacks one
    return (empty or following in word_set("polarity", "after_answer")) and set(before) <= {"yes", "no"}


def _says_more(words: Words, at: int, but: Collection[str] = ()) -> bool:
    """Whether anything with a meaning, but for these words, stands between here and the end of the clause."""
    for word in words[at:]:
        if word in MARKS:
            return False
        if word not in fillers() and word not in but:
            return True
    return False


def _stances(case: Case) -> Iterator[bool]:
    """What each clause says on the question: True for yes. Clauses about something else say nothing."""
    asked = asked_of(case.question)
    agrees, bare = _agreement(case), _bare_stance(case.prediction)
    if agrees is not None or bare is not None:
        yield bare is not asked.negated if agrees is None else agrees
        return
    if not asked.key:
        return
    asks = questions(case.prediction)
    for start, end in _statements(case.prediction):
        clause = case.prediction[start:end]
        if asks[end - 1] or clause == plain(case.question) or _is_unclear(clause):
            continue
        stance = _of_image(asked, clause, case.denied[start:end]) if asked.of_image else None
        if stance is None and (asked.limit or not asked.relevant.isdisjoint(clause)):
            stance = _stance(asked, clause, case.denied[start:end])
        if stance is not None:
            yield stance is not asked.negated


def _statements(words: Words) -> Iterator[tuple[int, int]]:
    """The clauses, one that concludes with the one before it: "the aorta is dilated, consistent with an aneurysm"."""
    held: tuple[int, int] | None = None
    for start, end in clauses_of(words):
        if held and words[start] in word_set("polarity", "concluding") and words[held[1] : start] == (",",):
            held = held[0], end
            continue
        if held:
            yield held
        held = start, end
    if held:
        yield held


def _agreement(case: Case) -> bool | None:
    """What an answer says that only tells whether the question's statement is so: "that is true", "it is not correct".

    It counts as said of the statement as it was asked, denials and all; in the question's own word ("is it false
    that", "it is false") it agrees.
    """
    truth, words = word_set("polarity", "truth"), plain(case.prediction)
    told = truth.intersection(words)
    if not told or any(word not in fillers() and word not in _CUES and word not in truth for word in words):
        return None
    agrees = not told.isdisjoint(case.question) or told <= {"true", "correct"}
    return agrees is _CUES.isdisjoint(words)


def _is_unclear(clause: Words) -> bool:
    unclear = not word_set("polarity", "unclear").isdisjoint(clause) or plain(clause)[-1:] == (
        "free",
    )  # "effusion-free"
    return unclear and not _CUES.isdisjoint(clause)


def _bare_stance(words: Words) -> bool | None:
    """What an answer without content of its own says, a yes or no before it aside: "it is", "no, it is not"."""
    seen = word_set("negation", "seen")
    answered = words[:1] in (("yes",), ("no",)) and not (MARKS | _SUBJECTS).isdisjoint(words[1:2])
    bare = plain(words[1:] if answered else words)
    bare = bare[: -len(end)] if (end := next((end for end in _ENDS if bare[-len(end) :] == end), ())) else bare
    if not bare or any(word not in empty() and word not in deniers() for word in bare):
        return None
    denials = sum(word in deniers() for word in bare)
    if denials:
        return denials % 2 == 0
    return True if set(bare) & seen - {"there"} or bare[-1] in word_set("negation", "verbs_alone") else None


def _of_image(asked: Asked, clause: Words, denied: tuple[bool, ...]) -> bool | None:
    """What a finding says of a whole image, or the denial of all: "there is a mass", "no abnormality is seen"."""
    named = {word for word, no in zip(clause, denied, strict=True) if not no}
    if "normal" in named and not _says_more(clause, 0, word_set("negation", "seen") | {"normal"}):
        return "normal" in asked.qualities
    return "abnormal" in asked.qualities if named & (word_set("polarity", "signs") | {"abnormal"}) else None


def _stance(asked: Asked, clause: Words, denied: tuple[bool, ...]) -> bool | None:
    void, deny = empty(), deniers()
    pairs = [pair for pair in zip(clause, denied, strict=True) if pair[0] not in void and pair[0] not in deny]
    affirmed = {word for word, no in pairs if not no}
    against = {word for word, no in pairs if no}
    if clause[-1] == "not" and (affirmed or against):
        against |= asked.qualities or {asked.key[-1]}  # "the right lung is clear, the left one is not"
    key, named = set(asked.key), affirmed | against
    if asked.rivals and named & (asked.rivals | _EQUAL) and not against:
        return _compared(asked, clause, affirmed)
    if asked.place and conflict(asked.place, affirmed) and affirmed & (asked.content - asked.place):
        return False  # "is the tip in the right atrium?", "it is in the left atrium"
    if not (asked.existential or against or "or" in clause) and conflict(asked.content, affirmed) in _OF_IMAGES:
        return False  # "is this a T1-weighted MRI?", "it is a T2-weighted MRI"
    if conflict(asked.content - asked.qualities - {"bilateral"}, named):
        return None  # another side, another place
    if _opposite(asked, affirmed, named, clause):
        return False
    if "bilateral" in asked.content and not named.isdisjoint(("left", "right")):
        one_only = bool(against & key) or not _ONLY.isdisjoint(clause)
        return False if one_only and key & named - {"bilateral"} else None
    if (asked.content - asked.qualities <= named or named <= against) and against & denied_opposites(asked.qualities):
        return True  # "is it malignant?", "it is not benign"
    beyond = {word for word in named - asked.content if not (asked.limit and is_measure(word))}
    rest = asked.content - key
    if rest and beyond and not rest & named and asked.existential:
        return None  # "is there a mass in the liver?", "there is a mass in the spleen"
    if beyond and affirmed and not set(clause) & word_set("polarity", "verbs"):
        return None  # a noun phrase that says more than the question is no statement on it
    if asked.limit and (not beyond or named & key):
        measured = _measured(asked, asked.limit, clause, denied, against)
        if measured is False or (measured and asked.limit.bound):
            return measured
    if asked.existential and _sound(asked, affirmed, named):
        return False
    predicate = asked.qualities or {asked.key[-1]}
    if against & (key | predicate):
        about = key <= named or (predicate <= named and named <= asked.content)
        return False if about and not _elsewhere(asked, clause) else None
    of_state = not asked.existential or "normal" in predicate  # not "is there a large mass?", "the liver is large"
    if not asked.bounded and (key <= affirmed or (of_state and predicate <= affirmed <= asked.content)):
        return True
    return None


def _compared(asked: Asked, clause: Words, affirmed: set[str]) -> bool | None:
    """What a clause says that names both, or the other one: "the right one is larger" to "is the left one smaller?"."""
    if affirmed & _EQUAL:
        return False
    places = [word for word in clause if word in asked.content - asked.qualities]
    other = places[0] in asked.rivals if places else False
    if asked.qualities & affirmed:
        return not other
    return other if opposites(asked.qualities) & affirmed else None


def _measured(asked: Asked, limit: Quantity, clause: Words, denied: tuple[bool, ...], against: set[str]) -> bool | None:
    """Whether what a clause states is within the question's limit; that there are none is an amount as well."""
    things = {word for word in asked.key if word != "multiple" and not is_measure(word)}
    return within(limit, ("0",), (False,)) if things and things <= against else within(limit, clause, denied)


def _opposite(asked: Asked, affirmed: set[str], named: set[str], clause: Words) -> bool:
    """Whether the subject is named and the opposite stated of it: "the heart is normal" to "is there cardiomegaly?"."""
    against = affirmed & opposites(asked.qualities)
    if not against or asked.qualities & affirmed:
        return False
    subject = asked.content - asked.qualities - word_set("polarity", "anything_wrong")
    if subject:
        return bool(subject & named) or (named <= against and not asked.existential and len(clause) > 1)
    return len(clause) > 1 or not against.isdisjoint(two_valued())


def _sound(asked: Asked, affirmed: set[str], named: set[str]) -> bool:
    """Whether the place of an abnormality that is asked for is said to be normal: "the ribs are normal"."""
    sound = {"normal", "intact", "clear"}
    place = named - sound
    finding = asked.key[-1]
    return bool(sound & affirmed and place) and place <= asked.content - {finding} and not asked.neutral


def _elsewhere(asked: Asked, clause: Words) -> bool:
    """A denial of a place that the question did not name is not a denial of the thing."""
    named, denied = stands(asked.content), stands(clause)
    return any((denied.get(slot.name, set()) & slot.places) - named.get(slot.name, set()) for slot in lexicon().slots)
