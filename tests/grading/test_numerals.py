import pytest

from rarl.grading.reading import context_of, read

SAME = """
twenty-two | 22
one hundred and five | 105
two hundred | 200
a dozen lesions | 12 lesions
half a dozen | 6
two dozen | 24
a couple of nodules | 2 nodules
one and a half | 1.5
1 1/2 cm | 15 mm
1½ cm | 1.5 cm
half | 0.5
three quarters | 0.75
two thirds | 2/3
one third | 1/3
⅓ | 1/3
one point five | 1.5
stage III | stage 3
Stage IIIa | stage 3A
type II | type two
CN VII | facial nerve
seventh cranial nerve | CN 7
rib 7 | 7th rib
twenty-first | 21st
3 cm | 30 mm
3,5 cm | 35 millimetres
2-3 cm | 20 mm to 30 mm
2 x 3 cm | 20 mm x 30 mm
2x3 cm | 2 x 3 cm
1,000 ml | 1 L
L4/5 | L4-L5
L4-5 | L4 L5
fifth lumbar vertebra | L5
T12 vertebra | twelfth thoracic vertebra
1 week | 7 days
"""
OTHER = """
stage III | stage II
IV contrast | 4 contrast
I | 1
vitamin D | vitamin 500
third ventricle | 1/3 ventricle
3 cm | 3 mm
stage 3a | stage 3b
L4-L5 | L4
two 3 cm masses | 2 cm 3 cm masses
"""


def pairs(table):
    return [tuple(cell.strip() for cell in line.split("|")) for line in table.strip().splitlines()]


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_numbers_that_read_the_same(one, other):
    assert read(one) == read(other)


@pytest.mark.parametrize(("one", "other"), pairs(OTHER))
def test_numbers_that_do_not(one, other):
    assert read(one) != read(other)


def test_a_lone_roman_numeral_counts_where_the_question_counts_so():
    assert read("IV", context_of("Which stage?")) == ("4",)
    assert read("IV", context_of("How was the contrast given?")) == ("intravenous",)
    assert read("I", context_of("Which grade?")) == ("1",)
    assert read("I think so", context_of("Which grade?"))[0] == "i"
