import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.errors import MissingExtraError
from rarl.evaluation.likeness import bare_words, exact, rouge_l, token_scores


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("Chest X-ray.", "chest xray", 1),
        ("left  lung", "Left lung", 1),
        ("left lung", "lung left", 0),
        ("the lung", "lung", 0),  # articles count: this is the plain protocol
        ("lung", "lungs", 0),
        ("", "", 0),
        ("...", "!", 0),
    ],
)
def test_exact_match(gold: str, answer: str, same: int) -> None:
    assert exact(gold, answer) == same


@pytest.mark.parametrize(
    ("gold", "answer", "f1", "recall"),
    [
        ("the left lung", "Left lung.", 1.0, 1.0),
        ("left lung", "left upper lobe", 2 / 5, 1 / 2),  # one word of two, of three
        ("no no no", "no", 2 / 4, 1 / 3),  # as often as both have it
        ("lung", "it is in the lung", 2 / 5, 1.0),
        ("lung", "heart", 0.0, 0.0),
        ("lung", "", 0.0, 0.0),
        ("the", "the", 0.0, 0.0),
    ],
)
def test_token_scores_by_hand(gold: str, answer: str, f1: float, recall: float) -> None:
    assert token_scores(gold, answer) == (pytest.approx(f1), pytest.approx(recall))


@given(st.text(), st.text())
def test_any_texts_have_a_likeness(gold: str, answer: str) -> None:
    f1, recall = token_scores(gold, answer)
    assert 0 <= f1 <= 1
    assert 0 <= recall <= 1
    assert (f1 == 0) == (recall == 0)
    assert token_scores(answer, gold)[0] == f1
    if exact(gold, answer):
        assert bare_words(gold) == bare_words(answer)


@pytest.mark.parametrize(
    ("gold", "answer", "f"),
    [
        ("the left lung", "the left upper lung", 6 / 7),  # 3 words in order: precision 3/4, recall 3/3
        ("left lung", "lung left", 1 / 2),  # one word in order, of two each
        ("Chest X-ray.", "chest x ray", 1.0),  # neither case nor punctuation, which parts words
        ("lungs", "lung", 0.0),  # no stemming
        ("left", "", 0.0),
        ("", "", 0.0),
    ],
)
def test_rouge_l_by_hand(gold: str, answer: str, f: float) -> None:
    pytest.importorskip("rouge_score")
    assert rouge_l()(["heart", gold], ["heart", answer]) == [1.0, pytest.approx(f)]


def test_rouge_l_without_its_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    with pytest.raises(MissingExtraError) as caught:
        rouge_l()
    assert str(caught.value).startswith(
        "eval.rouge needs rouge_score, which is not installed; get it with `pip install"
    )
