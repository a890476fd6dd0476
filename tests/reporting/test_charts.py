import math
import re
from xml.etree import ElementTree

import pytest

from rarl.reporting.charts import curves, dots, running_mean
from rarl.types import Estimate


def test_a_running_mean_uses_the_neighbours_that_are_there():
    assert running_mean([1.0, 2.0, 6.0, 4.0], 1) == [1.5, 3.0, 4.0, 5.0]
    assert running_mean([1.0, math.nan, 3.0], 1) == [1.0, 2.0, 3.0]
    assert running_mean([5.0], 3) == [5.0]


@pytest.fixture
def curve():
    return curves({"mean": [(i, i / 20) for i in range(20)], "longest": [(0, 0.5), (19, 0.5)]}, percent=True)


@pytest.fixture
def dot():
    both = {"before": Estimate(0.5, 0.4, 0.6, 9, 9), "after": Estimate(None, None, None, 0, 0, 9)}
    return dots([("chest X-ray", both), ("MR", {"after": Estimate(0.7, None, None, 1, 1)})], ["before", "after"])


def test_figures_are_svg_in_the_colours_of_the_page(curve, dot):
    for svg in (curve, dot):
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
        assert {colour for colour in colours if not colour.startswith("var(--")} <= {"none"}
        assert "<style" not in svg
        assert "DejaVu" not in svg


def test_text_stays_text(curve, dot):
    assert {"mean", "longest", "step"} <= set(ElementTree.fromstring(curve).itertext())
    assert {"chest X-ray", "MR", "before", "after"} <= set(ElementTree.fromstring(dot).itertext())


def test_every_reference_inside_a_figure_resolves(curve, dot):
    for svg in (curve, dot):
        used = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
        assert used == set(re.findall(r' id="([^"]+)"', svg))


def test_the_same_figure_is_the_same_text():
    line = {"mean": [(0, 0.1), (1, 0.2)]}
    assert curves(line) == curves(line)
