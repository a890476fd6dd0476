from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from published_sets import write_pictures, zip_pictures
from rarl.data import load_dataset
from rarl.data.vqa_med import REFERENCES, _rows
from rarl.errors import DataError
from rarl.types import QuestionKind

TRAINING = "ImageClef-2019-VQA-Med-Training"
TRAIN = [
    "synpic41148|what kind of image is this?|cta - ct angiography",
    "synpic43984|is this a t1 weighted, t2 weighted, or flair image?|t2",
    "synpic41148|is this a normal gastrointestinal image?|no",
]
TEST = [  # lines of the published file
    "synpic54082|modality|what modality is shown?|cta - ct angiography",
    "synpic36276|modality|is \tthis a t1 weighted image?|yes",
    "synpic48079|plane|what plane is this film|axial",
    "synpic54143|abnormality|what is the primary abnormality in this image?"
    "|anaplastic oligodendroglioma#multi-cystic complex mass#neoplasm",
    "synpic28495|abnormality|what is abnormal in the gastrointestinal image?|gastric volvulus (organoaxial)",
]


def write_train(root: Path, lines: list[str], end: str = "\n") -> Path:
    folder = root / TRAINING
    write_pictures(folder / "Train_images", ["synpic41148.jpg", "synpic43984.jpg"])
    (folder / "All_QA_Pairs_train.txt").write_bytes(end.join([*lines, ""]).encode())
    (folder / "QAPairsByCategory").mkdir()
    for name, line in (("C1_Modality", lines[0]), ("C4_Abnormality", lines[2])):
        (folder / f"QAPairsByCategory/{name}_train.txt").write_bytes(f"{line}{end}".encode())
    return folder


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_training_pairs(tmp_path: Path, end: str) -> None:
    folder = write_train(tmp_path, TRAIN, end)
    data = load_dataset("vqa-med-2019", root=str(tmp_path))
    assert [item.id for item in data] == [f"vqa-med-2019-train-{number}" for number in (1, 2, 3)]
    assert [item.cluster for item in data] == ["synpic41148", "synpic43984", "synpic41148"]
    assert [item.answer for item in data] == ["cta - ct angiography", "t2", "no"]
    assert [item.kind for item in data] == [QuestionKind.OPEN, QuestionKind.MCQ, QuestionKind.YESNO]
    assert [item.task for item in data] == ["modality", None, "abnormality"]
    assert data[1].images[0].read().getpixel((0, 0)) == (10, 10, 10)
    assert len(load_dataset("vqa-med-2019", root=str(folder))) == 3  # its own folder will do


@pytest.mark.parametrize("packed", [True, False])
def test_the_test_set_has_categories_and_several_references(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "VQAMed2019Test"
    names = [f"{line.split('|')[0]}.jpg" for line in TEST]
    write_pictures(folder / "VQAMed2019_Test_Images", names)
    if packed:
        (folder / "VQAMed2019_Test_Images").rename(tmp_path / "away")
        zip_pictures(folder / "VQAMed2019_Test_Images.zip", [f"VQAMed2019_Test_Images/{name}" for name in names])
    (folder / "VQAMed2019_Test_Questions_w_Ref_Answers.txt").write_text("\n".join(TEST))
    data = load_dataset("vqa-med-2019", split="test", root=str(tmp_path))
    assert [item.task for item in data] == ["modality", "modality", "plane", "abnormality", "abnormality"]
    assert [item.question for item in data[1:3]] == ["is this a t1 weighted image?", "what plane is this film"]
    assert [item.answer for item in data[3:]] == ["anaplastic oligodendroglioma", "gastric volvulus (organoaxial)"]
    assert [item.references for item in data[2:]] == [(), ("multi-cystic complex mass", "neoplasm"), ()]


def test_bad_lines_are_named_or_skipped(tmp_path: Path) -> None:
    folder = write_train(tmp_path, TRAIN)
    path = folder / "All_QA_Pairs_train.txt"
    path.write_bytes(path.read_bytes() + b"synpic41148|what is this?\n\n../x|what?|no\nsynpic41148|caf\xe9?|no\n")
    with path.open("a") as file:
        file.write("synpic41148|is it?|yes#no\nsynpic41148|what is it?|a mass#\nsynpic41148|what is it?|a#a \n")
    with pytest.raises(DataError, match=r"All_QA_Pairs_train\.txt, line 4: it has no answer"):
        load_dataset("vqa-med-2019", root=str(tmp_path))
    data = load_dataset("vqa-med-2019", root=str(tmp_path), on_error="skip")
    assert [(item.answer, item.references) for item in data[3:]] == [("a", ())]
    assert [(where.rpartition(" ")[2], why) for where, why in data.skipped] == [
        ("4", "it has no answer"),
        ("6", "'../x.jpg' leads out of the image folder"),
        ("7", "it is not in UTF-8"),
        ("9", "it has no answer"),
        (
            "'vqa-med-2019-train-8'",
            "a choice, or a question of yes or no, has one right answer; this has references besides",
        ),
    ]


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not on the hub; pass data\.root, a folder with the unpacked ImageClef-2019"):
        load_dataset("vqa-med-2019")
    with pytest.raises(DataError, match=r"has no All_QA_Pairs_val\.txt, nor has a folder in it"):
        load_dataset("vqa-med-2019", split="validation", root=str(tmp_path))
    (tmp_path / "All_QA_Pairs_train.txt").write_text(TRAIN[0])
    with pytest.raises(DataError, match="has no folder 'Train_images' with the images"):
        load_dataset("vqa-med-2019", root=str(tmp_path))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n\r|", exclude_categories=["Cs"])), min_size=4, max_size=6))
def test_a_line_is_cut_where_its_fields_end(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    path = tmp_path_factory.mktemp("table") / "table.txt"
    path.write_text("first|x|y|z\n" + "|".join(parts), encoding="utf-8", newline="")
    _, row = list(_rows(path, REFERENCES))[1]
    assert [row["image"], row["category"], row["question"]] == parts[:3]
    assert row["answer"] == "|".join(parts[3:])
