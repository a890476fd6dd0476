import pytest

from rarl.data.identifiers import suspects
from rarl.types import Example


def found(question: str, answer: str = "yes", rationale: str | None = None) -> list[tuple[str, str]]:
    example = Example("7", "7", (), question, answer, rationale=rationale)
    return [(each.field, each.looks_like) for each in suspects([example])]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Compared with 2019-03-14, is it larger?", "date"),
        ("Compared with 14.03.2019, is it larger?", "date"),
        ("Compared with March 14, 2019, is it larger?", "date"),
        ("Compared with 14 Mar 2019, is it larger?", "date"),
        ("Write to anna.b@clinic.example", "e-mail"),
        ("Call +49 89 4400 1234", "telephone"),
        ("Call (555) 123-4567", "telephone"),
        ("What of 123-45-6789?", "social security"),
        ("MRN: 004512, is there a mass?", "record number"),
        ("Patient ID A1234?", "record number"),
        ("Is 200451278 normal?", "long number"),
        ("Series 1.2.840.113619.2.55.3", "DICOM UID"),
        ("Does Mr. Smith have a mass?", "name"),
    ],
)
def test_what_looks_like_an_identifier(text: str, kind: str) -> None:
    assert ("question", kind) in found(text)
    assert ("answer", kind) in found("What?", text)
    assert ("rationale", kind) in found("What?", "yes", text)


@pytest.mark.parametrize(
    "text",
    [
        "Is the 5.6 cm lesion in segment 4/8 of 2020 voxels?",
        "Is this a T1-weighted image, TE 90, TR 4500?",
        "Are there 3-4 ribs, 10 to 12 mm?",
        "Was it in 2019?",
        "A drug of 1,000,000 units",
        "version 1.2.3",
        "What do the mrnas say?",
        "a ratio of 0.1234567",
    ],
)
def test_what_does_not(text: str) -> None:
    assert found(text) == []
