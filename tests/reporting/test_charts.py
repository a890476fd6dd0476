import re
from xml.etree import ElementTree

import pytest

from rarl.reporting.charts import (
    BASE,
    Axis,
    Series,
    curves,
    domain,
    histogram,
    intervals,
    number,
    running_mean,
    scale,
    swatch,
    thin,
)
from rarl.types import Estimate

LINE = [(float(i), i / 20) for i in range(20)]


def classes(svg):
    return [each.get("class", "") for each in ElementTree.fromstring(svg)]


def test_a_running_mean_uses_the_neighbours_that_are_there():
    assert running_mean([1.0, 2.0, 6.0, 4.0], 1) == [1.5, 3.0, 4.0, 5.0]
    assert running_mean([5.0], 3) == [5.0]


def test_a_long_line_is_averaged_and_a_short_one_is_not():
    assert thin(LINE) == LINE
    long = [(float(i), float(i % 2)) for i in range(4800)]
    short = thin(long)
    assert len(short) == 240
    assert {value for _, value in short} == {0.5}  # the mean of 20 neighbours, half of them 1
    assert (short[0][0], short[-1][0]) == (10.0, 4790.0)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.5, 1]),
        (0.0, 0.4, [0, 0.1, 0.2, 0.3, 0.4]),
        (-3, 17, [0, 5, 10, 15]),
        (118, 122, [118, 119, 120, 121, 122]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert Axis(low, high, 0, 100).ticks() == pytest.approx(ticks)


def test_an_axis_may_run_upwards():
    assert Axis(0, 10, 100, 0).at(2.5) == "75"


@pytest.mark.parametrize(
    ("value", "percent", "text"),
    [
        (0.7341, False, "0.734"),
        (1234.5, False, "1,234"),
        (2e-5, False, "2e-05"),
        (0, False, "0"),
        (0.0065, True, "0.65 %"),
    ],
)
def test_numbers_are_short(value, percent, text):
    assert number(value, percent) == text


def test_one_line_shows_what_was_measured_under_its_mean_and_several_show_means():
    assert [each for each in classes(curves([Series("a", LINE)])) if "s0" in each] == ["raw s0", "line s0"]
    both = curves([Series("a", LINE), Series("b", LINE, 1)])
    assert [each for each in classes(both) if each[-2:] in ("s0", "s1")] == ["line s0", "line s1"]


def test_points_have_marks_and_intervals():
    svg = curves([Series("a", [(0, 0.5), (9, 0.7)], 2, [(9, 0.6, 0.8)])], points=True)
    assert classes(svg).count("mark s2") == 2
    assert classes(svg).count("whisker s2") == 1


def test_what_is_smoothed_is_where_it_should_be():
    svg = curves([Series("a", [(0, 1.0), (10, 3.0)])])
    [path] = re.findall(r'class="line s0" d="M([^"]+)"', svg)
    (x0, y0), (x1, y1) = ([float(each) for each in place.split()] for place in path.split("L"))
    assert (x0, x1) == (46, 350)
    assert y0 > y1  # the higher value is higher up


def test_a_line_of_one_value_can_be_drawn():
    for value in (0.0, 1.0, -2.0):
        svg = curves([Series("a", [(1, value)])])
        assert "nan" not in svg
        assert "mark s0" in svg


def test_an_interval_is_where_its_numbers_are():
    svg = intervals(
        [(BASE, Estimate(0.5, 0.25, 0.75, 9, 9)), (0, Estimate(None, None, None, 0, 0, 4)), (1, None)], 0, 1
    )
    assert 'class="whisker base" d="M50.5 10H129.5"' in svg  # 11 + 158 x 0.25 and x 0.75
    assert svg.count('class="mark') == 1
    assert "M90 10" in svg


def test_a_domain_holds_all_limits():
    assert domain([Estimate(0.5, 0.42, 0.58, 9, 9), None], start=(0.0, 1.0)) == (0.0, 1.0)
    assert domain([Estimate(-0.3, -0.51, 0.1, 9, 9)], start=(-0.1, 0.3)) == (-0.6, 0.3)
    assert domain([], start=(0.0, 1.0)) == (0.0, 1.0)


def test_a_histogram_is_as_high_as_its_shares():
    heights = [
        float(each) for each in re.findall(r'<rect [^>]*height="([\d.]+)"', histogram([0.0, 0.25, 0.5], highest=0.5))
    ]
    assert heights == [12.0, 24.0]


@pytest.mark.parametrize(
    "svg", [scale(-0.1, 0.3, signed=True), swatch(7), swatch(BASE, dot=True), histogram([1.0], highest=1.0)]
)
def test_figures_are_svg_without_colours_of_their_own(svg):
    assert ElementTree.fromstring(svg).get("aria-hidden") == "true"  # the page says it in words
    assert not re.search(r"#[0-9a-f]{3}|rgb|style=", svg)


def test_a_signed_scale_has_signs():
    assert list(ElementTree.fromstring(scale(-0.1, 0.3, signed=True)).itertext()) == ["-10", "0", "+10", "+20", "+30"]
