"""The tables hold together: a word that can't be met, or means two things, is a mistake in the data."""

import json
import os
from pathlib import Path

import pytest

from rarl.grading.lexicon import lexicon, rewrite_words
from rarl.grading.reading import MARKS, read
from rarl.grading.slots import stands
from rarl.grading.spelling import normal_form
from rarl.grading.tables import fillers, language, word_set
from rarl.grading.units import base_units, units

FOLDER = Path(os.environ.get("RARL_VQA_RAD", Path(__file__).parents[3] / "shared" / "data" / "vqa_rad"))
VQA_RAD = FOLDER / "VQA_RAD Dataset Public.json"

PHRASES = {"no", "not", "because", "except", "pseudo", "counting", "no_alone", "untrue", "that", "before", "behind"}
GROUPS = [group for group in lexicon().groups if group.source]


def spelled(group, term):
    return " ".join(rewrite_words(term, lexicon().words))


def test_no_term_is_in_two_groups():
    owners = {}
    for group in lexicon().groups:
        for term in group.terms:
            other = owners.setdefault(spelled(group, term), group)
            same_canonical = other.terms[0] == group.terms[0]  # one group may have terms that need a context
            settled_apart = other.when and group.when and other.when.isdisjoint(group.when)
            refined = bool(group.when) != bool(other.when)  # cortex, beside the brain the cerebral one
            assert other is group or same_canonical or settled_apart or refined, (term, other.terms[0])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: " ".join(group.terms[0]))
def test_a_group_reads_as_its_first_term_and_names_its_source(group):
    canonical = rewrite_words(group.terms[0], lexicon().words)
    context = group.when
    assert len(group.terms) > 1
    assert len(group.source) > 5
    for term in group.terms:
        assert read(" ".join(term), context) == read(" ".join(canonical), context) == canonical, term


def test_slots_hold_words_as_they_are_read():
    for slot in lexicon().slots:
        assert len(set(slot.stands.values())) > 1, slot.name
        for word in slot.stands:
            assert read(word) == (word,), (slot.name, word)
        if slot.binary:
            assert len(set(slot.stands.values())) == 2
        if slot.optional_with:
            assert slot.optional_with in {other.name for other in lexicon().slots}
    for word, by in lexicon().implied.items():
        assert all(read(found) == (found,) for found in (word, *by))


def test_contexts_and_word_lists_hold_words_as_they_are_read():
    tables = language()
    lists = [("fillers", fillers()), *((f"when {when}", when) for when, _ in lexicon().settled)]
    lists += [
        (f"{table}.{key}", word_set(table, key))
        for table in ("polarity", "negation", "bounds", "alternatives")
        for key in tables[table]
        if key not in PHRASES
    ]
    for name, words in lists:
        for word in words:
            assert word in read(word), (name, word)


def test_numbers_and_units_are_met():
    assert all(normal_form(name) == (str(value),) for name, value in language()["numbers"].items())
    bases = base_units().values()
    assert all(read(f"2 {unit}")[1] in bases or read(f"2 {unit}s")[1] in bases for unit in units())


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: " ".join(group.terms[0]))
def test_the_terms_of_a_group_do_not_exclude_each_other(group):
    """Terms of one word; longer ones may deny ("less dense" is hypodense)."""
    taken = [stands(term) for term in group.terms if len(term) == 1]
    for slot in {slot for found in taken for slot in found}:
        assert len({frozenset(found[slot]) for found in taken if slot in found}) == 1, (slot, taken)


def test_the_words_of_vqa_rads_answers_are_known():
    """Measured: 464 of the 500 distinct words are in the tables; the rest is plain English and one slip."""
    if not VQA_RAD.is_file():
        pytest.skip("no copy of VQA-RAD; set RARL_VQA_RAD to its folder")
    answers = {str(entry["answer"]).strip().lower() for entry in json.loads(VQA_RAD.read_text(encoding="utf-8"))}
    words = {word for answer in answers for word in read(answer) if word not in MARKS}
    known = lexicon().known | fillers() | set(base_units().values())
    unknown = {word for word in words if word not in known and not word[0].isdigit()}
    assert len(unknown) <= len(words) * 8 // 100, sorted(unknown)
