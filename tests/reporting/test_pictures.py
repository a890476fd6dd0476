import base64
import io
import json

import pytest
from PIL import Image

import fake_run
import fake_training
from rarl.data import FileImage, load_dataset
from rarl.files import read_json, write_json
from rarl.reporting import pictures
from rarl.reporting.breakdown import question_sets
from rarl.reporting.examples import browse
from rarl.reporting.pictures import FULL, OFF, UNREAD, Library, picture
from rarl.reporting.sources import read_sources


def found(*paths, images=True):
    sources = read_sources(paths)
    library = Library(sources, images=images)
    return browse(sources, question_sets(sources), library, 40).cards, library.notes


@pytest.fixture
def folder(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    fake_training.rollouts(folder, steps=3)
    return folder


def set_config(folder, *overrides):
    (folder.path / "config.toml").write_text(folder.config.override(overrides).to_toml())


@pytest.mark.parametrize(("size", "small"), [((1000, 500), (320, 160)), ((84, 84), (84, 84))])
def test_pictures_are_small_and_travel_with_the_page(tmp_path, size, small):
    Image.new("RGB", size, (200, 10, 10)).save(tmp_path / "image.png")
    head, _, data = picture(FileImage(tmp_path / "image.png")).partition(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == small


def test_an_image_that_is_gone_is_left_out_and_told(folder, tmp_path):
    (tmp_path / "3.png").write_bytes(b"no image")
    cards, notes = found(folder.path)
    assert {card.id: len(card.pictures) for card in cards}["q3"] == 0
    assert sum(len(card.pictures) for card in cards) == 21
    assert notes == [UNREAD]


def test_images_stay_out_where_the_run_or_the_caller_says_so(folder):
    assert found(folder.path)[1] == []
    for cards, notes in (
        found(folder.path, images=False),
        (set_config(folder, "report.images=false"), found(folder.path))[1],
    ):
        assert not any(card.pictures for card in cards)
        assert notes == [OFF]
        assert any(card.question == "Question <b>0</b>?" for card in cards if card.visits)  # text is no image


def test_one_run_that_withholds_images_withholds_those_of_its_questions(folder, tmp_path):
    other = fake_run.make(tmp_path / "other")
    set_config(folder, "report.images=false")
    cards, _ = found(other.path, folder.path)
    assert not any(card.pictures for card in cards)


def test_another_question_under_the_same_id_is_not_illustrated(folder, tmp_path):
    text = (tmp_path / "mine.py").read_text()
    (tmp_path / "other.py").write_text(text.replace("Question <b>{i}</b>?", "Something else {i}?"))
    set_config(folder, f"data.name={json.dumps(str(tmp_path / 'other.py:load'))}")
    assert not any(card.pictures for card in found(folder.path)[0] if card.answers)


def test_an_evaluation_finds_its_images_through_the_run_of_its_adapter_or_beside_it(folder):
    [place] = folder.path.glob("eval/mine*")
    assert not any(card.pictures for card in found(place)[0])  # its loader wants a root, which nobody knows
    summary = read_json(place / "summary.json")
    settings = {**summary["settings"], "adapter": str(folder.adapter), "questions": 20}
    write_json(place / "summary.json", {**summary, "settings": settings})
    assert all(card.pictures for card in found(place)[0])


def test_an_evaluation_of_a_sample_finds_the_images_of_what_was_drawn(folder):
    set_config(folder, "eval.limit=7")
    data = folder.config.data
    drawn = {example.id for example in load_dataset(data.name, root=data.root, limit=7, sampled=True)}
    cards = {card.id: card for card in found(folder.path)[0] if card.answers}
    assert drawn != {f"q{number}" for number in range(7)}
    assert {name for name, card in cards.items() if card.pictures} == drawn & cards.keys()


def test_an_evaluation_on_data_without_files_needs_no_run(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    [place] = folder.path.glob("eval/mine*")
    loader = tmp_path / "rootless.py"
    loader.write_text(fake_run.LOADER.replace('*, root=""', "*, limit=20").replace("{root}", str(tmp_path)))
    summary = read_json(place / "summary.json")
    write_json(place / "summary.json", {**summary, "settings": {**summary["settings"], "data": f"{loader}:load"}})
    assert all(card.pictures for card in found(place)[0])


def test_beyond_the_budget_images_are_left_out_and_counted(folder, monkeypatch):
    size = len(picture(FileImage(folder.path.parent / "3.png")))
    monkeypatch.setattr(pictures, "BUDGET", 10 * size + size // 2)
    cards, notes = found(folder.path)
    shown = sum(len(card.pictures) for card in cards)
    assert 8 <= shown <= 12  # the images are about equally large
    assert notes == [FULL.format(22 - shown)]
