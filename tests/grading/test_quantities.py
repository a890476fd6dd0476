from fractions import Fraction

import pytest

from rarl.grading.quantities import Quantity, quantities
from rarl.grading.reading import read


def amounts(text):
    return {(quantity.dimension, quantity.amount) for quantity in quantities(read(text))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.4 cm", {("length", 34)}),
        ("3,4cm", {("length", 34)}),
        ("34 millimetres", {("length", 34)}),
        ("1,000", {("", 1000)}),
        ("two", {("", 2)}),
        ("2 kidneys", {("", 2)}),
        ("6.5 x 6.2 x 8.8cm", {("length", 65), ("length", 62), ("length", 88)}),
        ("6.5 cm x 62 mm", {("length", 65), ("length", 62)}),
        ("10-20 minutes", {("time", 600), ("time", 1200)}),
        ("10 lesions in 20 minutes", {("", 10), ("time", 1200)}),
        ("5%", {("share", 5)}),
        ("10/10", set()),
        ("T5 and 3rd", set()),
        ("9" * 5000, set()),
        ("", set()),
    ],
)
def test_quantities(text, expected):
    assert amounts(text) == expected


def test_amounts_are_exact():
    assert quantities(read("0.1 cm")) == {Quantity(Fraction(1), "length")}
