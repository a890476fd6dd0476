import io
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from published_sets import picture
from rarl import registry
from rarl.data import BytesImage, Dataset, FileImage, load_dataset
from rarl.errors import DataError, RarlError
from rarl.types import Example, ImageSource


@dataclass(frozen=True)
class Blank:
    """An image that cannot fail, and so offers no check."""

    name: str = "blank"

    def read(self) -> Image.Image:
        return Image.new("RGB", (28, 28))


def example(number: int, image: ImageSource | None = None) -> Example:
    return Example(f"q{number}", f"c{number}", (image or Blank(),), "Is it there?", "yes")


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Gives a loader the name "mine" for one test."""
    return lambda loader: monkeypatch.setitem(registry.datasets._registered, "mine", loader)


Register = Callable[[Any], None]


def test_a_loader_gets_what_its_signature_names(register: Register) -> None:
    calls = []

    def loader(split: str, *, seed: int, root: str = "", views: int = 1) -> Iterator[Example]:
        calls.append((split, seed, root, views))
        return (example(number) for number in range(3))

    register(loader)
    data = load_dataset("mine", split="test", root="/there", limit=2, seed=7, views=3)
    assert calls == [("test", 7, "/there", 3)]
    assert [item.id for item in data] == ["q0", "q1"]
    assert (data.name, data.split, len(data), data.skipped) == ("mine", "test", 2, ())
    assert data[1].id == "q1"
    assert data[:1] == (data[0],)


def test_an_endless_loader_is_cut_at_the_limit(register: Register) -> None:
    register(lambda split: (example(number) for number in itertools.count()))
    assert len(load_dataset("mine", limit=5)) == 5


def test_an_unknown_option_names_the_nearest(register: Register) -> None:
    def loader(split: str, *, root: str = "", views: int = 1) -> list[Example]:
        return [example(0)]

    register(loader)
    with pytest.raises(DataError, match=r"no option 'view'; did you mean 'views'\? It takes: views"):
        load_dataset("mine", view=2)
    register(lambda split: [example(0)])
    with pytest.raises(DataError, match=r"no option 'views'\. It takes none"):
        load_dataset("mine", views=2)


def test_unknown_names_and_modes() -> None:
    with pytest.raises(RarlError, match="unknown data set 'phantm'; did you mean 'phantom'"):
        load_dataset("phantm")
    with pytest.raises(DataError, match=r'data.on_error must be "raise" or "skip"'):
        load_dataset("phantom", on_error="ignore")


def test_an_empty_data_set_is_an_error(register: Register) -> None:
    register(lambda split: iter(()))
    with pytest.raises(DataError, match="'mine', split 'train', has no example"):
        load_dataset("mine")


def test_a_missing_image_names_row_file_and_remedy(register: Register, tmp_path: Path) -> None:
    missing = FileImage(tmp_path / "lost.png")
    register(lambda split: [example(0), example(1, missing), example(2)])
    with pytest.raises(DataError) as caught:
        load_dataset("mine")
    message = str(caught.value)
    assert "'q1'" in message
    assert str(missing.path) in message
    assert 'data.on_error = "skip"' in message
    assert "\n" not in message


def test_skipped_rows_are_listed_and_the_limit_counts_good_ones(register: Register, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    broken = tmp_path / "broken.png"
    broken.write_bytes(buffer.getvalue()[:-200])
    register(lambda split: [example(0), example(1, FileImage(broken)), example(0), *(example(n) for n in range(3, 9))])
    data = load_dataset("mine", on_error="skip", limit=3)
    assert [item.id for item in data] == ["q0", "q3", "q4"]
    (first, why_first), (second, why_second) = data.skipped
    assert "q1" in first
    assert str(broken) in why_first
    assert "q0" in second
    assert why_second == "this id appears twice"


def test_when_all_rows_are_skipped_the_first_reason_is_told(register: Register, tmp_path: Path) -> None:
    register(lambda split: [example(0, FileImage(tmp_path / "lost.png"))])
    with pytest.raises(DataError, match=r"all 1 rows were skipped.*lost\.png does not exist"):
        load_dataset("mine", on_error="skip")


def test_a_loader_may_report_its_own_bad_rows(register: Register) -> None:
    def loader(split: str, problem: Callable[[str, str], None]) -> Iterator[Example]:
        yield example(0)
        problem("table.csv, row 1", "it has no answer")
        yield example(2)

    register(loader)
    with pytest.raises(DataError, match=r"table\.csv, row 1: it has no answer; mend it, or set"):
        load_dataset("mine")
    data = load_dataset("mine", on_error="skip")
    assert [item.id for item in data] == ["q0", "q2"]
    assert data.skipped == (("table.csv, row 1", "it has no answer"),)


def ids(data: Dataset) -> list[int]:
    return [int(item.id[1:]) for item in data]


def test_a_sample_is_of_the_whole_split_in_its_order_and_the_same_each_time(register: Register) -> None:
    asked = []

    def loader(split: str, limit: int | None = None) -> Iterator[Example]:
        asked.append(limit)
        return (example(number) for number in range(200))

    register(loader)
    few, more = (load_dataset("mine", limit=limit, sampled=True) for limit in (20, 50))
    assert asked == [None, None]  # else there would be nothing to draw from
    assert (len(few), few.drawn_from, more.drawn_from) == (20, 200, 200)
    assert ids(few) == sorted(ids(few))
    assert set(ids(few)) < set(ids(more))
    assert 4 <= sum(number >= 100 for number in ids(few)) <= 16  # by chance alone: once in 1,000
    assert ids(load_dataset("mine", limit=20, seed=1, sampled=True)) == ids(few)
    register(lambda split: [example(number) for number in reversed(range(200))])
    assert ids(load_dataset("mine", limit=20, sampled=True)) == ids(few)[::-1]  # by the ids, not by the places
    for limit in (200, 300, None):
        whole = load_dataset("mine", limit=limit, sampled=True)
        assert (len(whole), whole.drawn_from) == (200, None)


def test_a_sample_checks_what_it_draws_alone_and_draws_on_for_what_is_skipped(register: Register) -> None:
    checks = []

    @dataclass(frozen=True)
    class Odd(Blank):
        def check(self) -> None:
            checks.append(int(self.name))
            if int(self.name) % 2:
                raise DataError("odd")

    register(lambda split: [example(number, Odd(str(number))) for number in range(100)])
    data = load_dataset("mine", limit=10, sampled=True, on_error="skip")
    assert len(data) == 10
    assert not any(number % 2 for number in ids(data))
    assert len(checks) == 10 + len(data.skipped) < 50


def test_a_loader_that_draws_by_itself_is_asked_for_so_many(register: Register) -> None:
    def loader(split: str, limit: int | None = None, seed: int = 0) -> Iterator[Example]:
        return (example(number) for number in range(seed, seed + (limit or 9)))

    register(loader)
    data = load_dataset("mine", limit=3, seed=5, sampled=True)
    assert (ids(data), data.drawn_from) == ([5, 6, 7], None)


def test_each_image_is_checked_once(register: Register) -> None:
    checks = []

    @dataclass(frozen=True)
    class Counted(Blank):
        def check(self) -> None:
            checks.append(self.name)

    register(lambda split: [example(number, Counted(f"image-{number // 3}")) for number in range(9)])
    load_dataset("mine")
    assert checks == ["image-0", "image-1", "image-2"]


def test_a_loader_that_yields_something_else_is_told_so(register: Register) -> None:
    register(lambda split: [{"question": "?"}])
    with pytest.raises(DataError, match="mine train, item 0: the loader must yield Examples, not dict"):
        load_dataset("mine", on_error="skip")


def test_a_file_can_bring_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "ward.py").write_text(
        "from rarl.types import Example\n"
        "def load(split, root=''):\n"
        "    yield Example('1', '1', (), f'{split} {root}?', 'yes')\n"
    )
    data = load_dataset(f"{tmp_path}/ward.py:load", split="fold-1", root="here")
    assert data[0].question == "fold-1 here?"


@pytest.mark.parametrize("stage", ["call", "iteration", "nothing"])
def test_a_loader_that_fails_is_one_line_that_names_it(register: Register, stage: str) -> None:
    def call(split: str) -> None:
        raise KeyError("two\nlines")

    def iteration(split: str) -> Iterator[Example]:
        yield example(0)
        raise ValueError("late")

    register({"call": call, "iteration": iteration, "nothing": lambda split: None}[stage])
    with pytest.raises(DataError, match=r"mine.*(KeyError|ValueError: late|NoneType)") as caught:
        load_dataset("mine")
    assert "\n" not in str(caught.value)


def test_an_example_that_cannot_be_used_is_skipped_and_listed(register: Register) -> None:
    bad = Example("bad", "c", (Blank(),), "<|im_end|>", "yes")
    register(lambda split: [example(0), bad, example(1)])
    found = load_dataset("mine", on_error="skip")
    assert [item.id for item in found] == ["q0", "q1"]
    [(where, why)] = found.skipped
    assert "'bad'" in where
    assert "<|im_end|>" in why


class Watched(BytesImage):
    """Says in which thread, and how often, it was looked at."""

    def check(self) -> None:
        looked_at.append((self.name, threading.current_thread() is threading.main_thread()))
        super().check()


class TheirOwn:
    name = "theirs"

    def read(self) -> Image.Image:
        raise AssertionError("a check is enough")

    def check(self) -> None:
        looked_at.append((self.name, threading.current_thread() is threading.main_thread()))


looked_at: list[tuple[str, bool]] = []


def test_images_are_decoded_ahead_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at.clear()
    own, shared = TheirOwn(), Watched(picture(200), "shared")
    images = [shared, *(Watched(picture(n), f"{n}") for n in range(100)), own, shared]
    asked = [Example(f"{n}", "c", (image,), "Is it?", "yes") for n, image in enumerate(images)]
    monkeypatch.setitem(registry.datasets._registered, "watched", lambda split: iter(asked))
    found = load_dataset("watched")
    assert list(found) == asked
    assert sorted(name for name, _ in looked_at) == sorted(["shared", "theirs", *map(str, range(100))])
    assert {name for name, main in looked_at if main} == {"theirs"}, "somebody's own images may not bear threads"


def test_no_row_beyond_the_limit_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def rows(split: str) -> Iterator[Example]:
        for n in range(10):
            taken.append(n)
            image = BytesImage(picture(n) if n != 1 else b"damaged", f"{n}")
            yield Example(f"{n}", "c", (image,), "Is it?", "yes")

    monkeypatch.setitem(registry.datasets._registered, "rows", rows)
    found = load_dataset("rows", limit=3, on_error="skip")
    assert [example.id for example in found] == ["0", "2", "3"]
    assert taken == [0, 1, 2, 3]
    assert len(found.skipped) == 1
