import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from rarl.data import BytesImage, Dataset, FileImage
from rarl.data.quality import BLOCK, check_sets
from rarl.types import Example, QuestionKind


def scan(seed: int) -> Image.Image:
    """Smooth noise: no two alike, as real images are not."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (9, 9)).astype(np.uint8)
    return Image.fromarray(coarse).resize((320, 288), Image.Resampling.BICUBIC)


def stored(image: Image.Image, name: str, form: str = "PNG", **how: int) -> BytesImage:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return BytesImage(buffer.getvalue(), name)


def example(name: str, image: BytesImage | FileImage | None, question: str = "Is it?", answer: str = "yes", **more):
    return Example(name, more.pop("cluster", name), (image,) if image else (), question, answer, **more)


def split(*examples: Example, name: str = "train", skipped: tuple[tuple[str, str], ...] = ()) -> Dataset:
    return Dataset("mine", name, examples, skipped)


def test_counts_and_the_commonest_answers() -> None:
    [found] = check_sets(
        [
            split(
                example("a", None, kind=QuestionKind.YESNO, modality="ct"),
                example("b", None, answer="Yes", kind=QuestionKind.YESNO, modality="ct"),
                example("c", None, answer="no", kind=QuestionKind.YESNO, cluster="b"),
                example("d", None, answer="liver", references=("the liver",)),
                skipped=(("row 9", "it has no answer"),),
            )
        ]
    ).sets
    assert (found.name, found.examples, found.images, found.clusters) == ("mine train", 4, 0, 3)
    assert found.counts["kind"] == {"yesno": 3, "open": 1}
    assert found.counts["modality"] == {"ct": 2, "none": 2}
    yes = found.commonest["yesno"]
    assert (yes.answer, yes.n, yes.of) == ("yes", 2, 3)
    assert found.left_out == (("row 9", "it has no answer"),)


def test_equal_pixels_and_images_that_look_the_same() -> None:
    one, other = scan(1), scan(2)
    [found] = check_sets(
        [
            split(
                example("a", stored(one, "one.png")),
                example("b", stored(one, "again.tif", "TIFF")),
                example("c", stored(one, "one.jpg", "JPEG", quality=60)),
                example("d", stored(one.resize((160, 144)), "half.png")),
                example("e", stored(ImageEnhance.Brightness(one).enhance(0.85), "darker.png")),
                example("f", stored(other, "other.png")),
            )
        ]
    ).sets
    assert found.duplicates == [["one.png", "again.tif"]]
    [alike] = found.near_duplicates
    assert set(alike) == {"one.png", "one.jpg", "half.png", "darker.png"}


def test_groups_that_span_blocks_of_the_comparison() -> None:
    scans = [scan(seed) for seed in range(BLOCK + 20)]
    images = [stored(image, f"{number}.png") for number, image in enumerate(scans)]
    images += [stored(scans[number].resize((200, 180)), f"{number} small.png") for number in (3, BLOCK + 7)]
    [found] = check_sets([split(*(example(image.name, image) for image in images))]).sets
    assert sorted(map(sorted, found.near_duplicates)) == [
        ["263 small.png", "263.png"],
        ["3 small.png", "3.png"],
    ]


def test_what_a_split_has_in_common_with_one_before_it() -> None:
    train = split(
        example("a", stored(scan(1), "a.png"), answer="Left lung", cluster="patient 1"),
        example("b", stored(scan(2), "b.png"), answer="liver", references=("hepar",)),
    )
    test = split(
        example("c", stored(scan(1), "c.bmp", "BMP"), answer="left  lung", cluster="patient 1"),
        example("d", stored(scan(2).resize((200, 180)), "d.png"), answer="hepar"),
        example("e", stored(scan(3), "e.png"), answer="spleen"),
        name="test",
    )
    [pair] = check_sets([train, test]).pairs
    assert (pair.of, pair.within) == ("mine test", "mine train")
    assert (pair.images, pair.of_images, pair.near_images) == (1, 3, 1)
    assert (pair.examples, pair.of_examples, pair.clusters) == (2, 3, 1)
    assert pair.unseen_answers == 1


def test_contradictions() -> None:
    image, same, other = stored(scan(1), "a.png"), stored(scan(1), "a.bmp", "BMP"), stored(scan(2), "b.png")
    train = split(
        example("a", image, "Is there a mass?", "yes", kind=QuestionKind.YESNO),
        example("b", same, "is there a  mass", "no", kind=QuestionKind.YESNO),
        example("c", other, "Is there a mass?", "no", kind=QuestionKind.YESNO),
        example("d", image, "What is it?", "liver"),
        example("e", image, "What is it?", "the Liver"),
        example("f", None, "What is it?", "spleen"),
    )
    test = split(example("g", same, "What is it?", "kidney"), name="test")
    found = check_sets([train, test])
    assert {(each.ids, each.sets) for each in found.contradictions} == {
        (("a", "b"), ("mine train", "mine train")),
        (("d", "g"), ("mine train", "mine test")),
        (("e", "g"), ("mine train", "mine test")),
    }
    assert found.pairs[0].contradictions == 2


def test_choices_of_other_options_are_other_questions() -> None:
    image = stored(scan(1), "a.png")
    asked = [
        example("a", image, "Which?", "liver", options=("liver", "spleen"), kind=QuestionKind.MCQ),
        example("b", image, "Which?", "kidney", options=("kidney", "heart"), kind=QuestionKind.MCQ),
    ]
    assert check_sets([split(*asked)]).contradictions == ()


def test_images_that_look_sound_and_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (200, 200), dtype=np.uint8)).save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    [found] = check_sets(
        [split(example("a", FileImage(tmp_path / "cut.png")), example("b", stored(scan(1), "b.png")))]
    ).sets
    [(name, why)] = found.broken
    assert name == "cut.png"
    assert "cut.png" in why
    assert found.images == 2


def test_as_json() -> None:
    test = split(example("x", stored(scan(1), "c.png"), "Seen 2019-03-14?"), name="test")
    found = check_sets([split(example("a", stored(scan(1), "a.png"))), test]).to_json()
    again = json.loads(json.dumps(found))
    assert again["pairs"][0]["images"] == 1
    assert again["sets"][1]["identifiers"] == [{"id": "x", "field": "question", "looks_like": "date"}]
    assert "2019" not in json.dumps(found), "what looks like an identifier is named by its place alone"


@pytest.mark.parametrize("images", [(), ("only",)])
def test_few_or_no_images(images: tuple[str, ...]) -> None:
    found = check_sets([split(example("a", stored(scan(1), images[0]) if images else None))])
    assert found.sets[0].images == len(images)
    assert found.pairs == []


def test_the_recorded_speed_is_that_of_the_page() -> None:
    root = Path(__file__).parents[2]
    found = json.loads((root / "benchmarks" / "results" / "data-check.json").read_text())
    assert (found["images"], found["side"], found["cores"]) == (10_000, 512, 2)
    assert found["seconds"] < 60
    assert f"take {found['seconds']:.0f} s on two cores" in (root / "docs" / "data-check.md").read_text()
