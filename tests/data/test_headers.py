"""What is taken of DICOM headers: what was listed, and no more."""

import json
from pathlib import Path

import pytest

import rarl
from published_sets import picture, write_lines
from rarl.data import load_dataset
from rarl.data.headers import SALT
from rarl.errors import DataError

pydicom = pytest.importorskip("pydicom")

PATIENT = "Doe-MRN-778899"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, modality in enumerate(("CT", "MR", "CT")):
        scan = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm"))
        scan.PatientID, scan.Modality = f"{PATIENT}-{number // 2}", modality
        scan.save_as(tmp_path / f"{number}.dcm")
    (tmp_path / "3.png").write_bytes(picture(9))
    names = [f"{number}.dcm" for number in range(3)] + ["3.png"]
    rows = [{"image": name, "question": "What is it?", "answer": "a scan"} for name in names]
    write_lines(tmp_path / "t.jsonl", [*rows, {**rows[0], "modality": "PET", "patient": "mine"}])
    return tmp_path


def load(root: Path, tags: dict[str, str] | None = None) -> list[rarl.Example]:
    return list(load_dataset("table", root=str(root), tags=tags))


def test_nothing_is_taken_that_is_not_listed(root: Path) -> None:
    assert [each.modality for each in load(root)] == [None, None, None, None, "pet"]
    assert PATIENT not in repr(load(root))


def test_what_is_listed_fills_what_the_row_does_not_say(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT, "secret")
    found = load(root, {"modality": "Modality", "patient": "PatientID", "task": "BodyPartExamined"})
    assert [each.modality for each in found] == ["ct", "mr", "ct", None, "pet"]
    clusters = [each.cluster for each in found]
    assert clusters[0] == clusters[1] != clusters[2]
    assert clusters[3:] == ["3.png", "mine"]
    assert PATIENT not in repr(found)
    monkeypatch.setenv(SALT, "another")
    assert load(root, {"patient": "PatientID"})[0].cluster != clusters[0]


def test_a_patient_needs_a_salt_and_a_tag_its_keyword(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SALT, raising=False)
    with pytest.raises(DataError, match=f"set {SALT} to a secret text"):
        load(root, {"patient": "PatientID"})
    with pytest.raises(DataError, match=r"DICOM has no attribute 'Modalty'.*'Modality'"):
        load(root, {"modality": "Modalty"})
    for wrong in ({"question": "PatientName"}, {"modality": 3}, "Modality"):
        with pytest.raises(DataError, match=r"data\.options\.tags must be as"):
            load(root, wrong)  # type: ignore[arg-type]


def test_no_file_of_a_run_holds_the_patient_or_the_salt(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT, "salt-that-nobody-knows")
    config = rarl.RunConfig().override(
        [
            "data.name=table",
            f"data.root={root}",
            'data.options.tags.patient="PatientID"',
            'data.options.tags.modality="Modality"',
            'eval.splits=["train"]',
            "model.base=tiny",
            "model.cache_dir=off",
            "rollout.prompts_per_step=2",
            "rollout.group_size=2",
            "rollout.max_new_tokens=4",
            "train.steps=1",
        ]
    )
    folder = rarl.train(config, out=root / "run").folder
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert PATIENT.encode() not in content, path
        assert b"salt-that-nobody-knows" not in content, path
    records = [json.loads(line) for path in folder.rglob("records.jsonl") for line in path.read_text().splitlines()]
    assert {row["modality"] for row in records} == {"ct", "mr", "pet", None}
