import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fake_run import record
from rarl.data import FileImage
from rarl.reporting.examples import Pair, choose, pair_up, pictures

CHANGES = {(False, True): "improved", (True, False): "worse", (False, False): "wrong", (True, True): "right"}


def pairs_of(outcomes):
    return [Pair(record(i, before), record(i, after)) for i, (before, after) in enumerate(outcomes)]


@pytest.mark.parametrize(("outcome", "change"), CHANGES.items())
def test_what_changed(outcome, change):
    [pair] = pairs_of([outcome])
    assert pair.change == change


def test_without_a_before_an_answer_is_right_or_wrong():
    assert Pair(None, record(1, True)).change == "right"
    assert Pair(None, record(1, False)).change == "wrong"
    assert Pair(record(1, False), None).change == "wrong"


def test_questions_are_paired_by_id():
    before, after = [record(1, True), record(2, True)], [record(2, False), record(3, True)]
    assert [(pair.record.id, pair.before is None, pair.after is None) for pair in pair_up(before, after)] == [
        ("q1", False, True),
        ("q2", False, False),
        ("q3", True, False),
    ]


def test_rare_changes_are_all_shown_and_common_ones_spread_out():
    outcomes = [(True, True)] * 100 + [(False, True)] * 2 + [(False, False)] * 10
    chosen = choose(pairs_of(outcomes), 12)
    assert [pair.change for pair in chosen] == ["improved"] * 2 + ["wrong"] * 5 + ["right"] * 5
    assert [pair.record.id for pair in chosen[-5:]] == ["q0", "q20", "q40", "q60", "q80"]


@given(st.lists(st.sampled_from(list(CHANGES)), max_size=40), st.integers(0, 40))
def test_as_many_as_asked_for_if_there_are_so_many(outcomes, count):
    chosen = choose(pairs_of(outcomes), count)
    assert len(chosen) == min(count, len(outcomes))
    assert len({pair.record.id for pair in chosen}) == len(chosen)


def test_pictures_are_small_and_travel_with_the_page(tmp_path):
    Image.new("RGB", (1000, 500), (200, 10, 10)).save(tmp_path / "large.png")
    Image.new("RGB", (84, 84), (1, 2, 3)).save(tmp_path / "small.png")
    images = {"a": [FileImage(tmp_path / "large.png"), FileImage(tmp_path / "small.png")], "b": []}
    found = pictures(images, ["a", "b"])
    assert found["b"] == []
    sizes = []
    for uri, kind in zip(found["a"], ("jpeg", "png"), strict=True):
        head, _, data = uri.partition(",")
        assert head == f"data:image/{kind};base64"
        sizes.append(Image.open(io.BytesIO(base64.b64decode(data))).size)
    assert sizes == [(320, 160), (84, 84)]


def test_an_image_that_is_gone_is_left_out(tmp_path):
    assert pictures({"a": [FileImage(tmp_path / "gone.png")]}, ["a"]) == {"a": []}
