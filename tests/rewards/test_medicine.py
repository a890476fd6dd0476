"""What excludes each other and what a finding is seen by: the tables, and how they are looked up."""

import pytest

from rarl.grading import Mention
from rarl.grading.claims import normal_words
from rarl.rewards.medicine import medicine, restating, shows, sides_of, signs_of, together
from rarl.rewards.wording import stem


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("The left costophrenic angle is blunted.", "blunted angle", "affirmed"),
        ("Blunting of the angle.", "blunted angle", "affirmed"),
        ("The angle is not blunted.", "blunted angle", "denied"),
        ("No blunting of the angle is seen.", "blunted angle", "denied"),
        ("The angle is sharp. The margin is blunted.", "blunted angle", "absent"),
        ("The angle is seen. It is blunted.", "blunted angle", "affirmed"),
        ("Is the angle blunted?", "blunted angle", "absent"),
        ("No lung markings reach the wall.", "no lung markings", "affirmed"),
        ("Lung markings reach the wall.", "no lung markings", "denied"),
        ("The angle is blunted. The angle is not blunted.", "blunted angle", "both"),
        ("", "blunted angle", "absent"),
        ("The angle.", "", "absent"),
    ],
)
def test_together(text, phrase, expected):
    assert together(text, phrase) is Mention(expected)


def test_sides_of_a_phrase():
    assert sides_of("a line, no lung markings") == ({"line"}, {"lung", "marking"})
    assert sides_of("opacity in the right lower lobe") == ({"opacity", "right", "lower", "lobe"}, frozenset())


@pytest.mark.parametrize(
    ("reasoning", "seen"),
    [
        ("The angle is blunted.", True),
        ("Both angles are sharp.", False),
        ("The angle is not blunted.", False),
        ("The angle is blunted. The other angle is sharp, no blunting.", None),
        ("The heart is large.", None),
    ],
)
def test_a_sign(reasoning, seen):
    (sign,) = signs_of("Is there a pleural effusion?")
    assert shows(reasoning, sign, frozenset()) is seen


def test_what_restates():
    assert {stem("fluid"), stem("effusion")} <= restating("pleural effusion")
    assert {stem("radiograph"), stem("roentgenogram")} <= restating("x-ray")
    assert restating("") == frozenset()


def test_the_tables_are_read_alike_and_hold_nothing_twice():
    tables = medicine()
    for group in (*tables.exclusive, *tables.rivals):
        assert len(group) > 1
    for group in tables.rivals:
        read = [normal_words(name) for name in group]
        assert all(read)
        assert len(set(read)) == len(read), group
    assert len({sign.of for sign in tables.signs}) == len(tables.signs) > 30
    for sign in tables.signs:
        assert not set(sign.by) & set(sign.against)
        assert all(sides_of(phrase) != (frozenset(), frozenset()) for phrase in (*sign.by, *sign.against))
