from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.scripted import record
from rarl.errors import RunFolderError
from rarl.evaluation import records as store


def test_records_come_back_equal(tmp_path: Path) -> None:
    assert store.resume(tmp_path / "new", {"data": "ward", "options": ("a",)}) == []
    written = [record("q1"), record("q2", answer=None, reasoning=None, modality="CT")]
    store.append(tmp_path / "new", written[:1])
    store.append(tmp_path / "new", written[1:])
    assert store.read_records(tmp_path / "new") == written
    assert store.resume(tmp_path / "new", {"data": "ward", "options": ("a",)}) == written


@given(st.text(), st.text(), st.dictionaries(st.text(), st.floats(0, 1) | st.none(), max_size=3))
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, question: str, completion: str, parts: dict
) -> None:
    folder = tmp_path_factory.mktemp("records")
    written = [record("q1", question=question, completions=(completion,), parts=parts), record("q2")]
    store.append(folder, written)
    assert store.read_records(folder) == written


def test_the_kept_completion_is_the_one_behind_the_answer() -> None:
    assert store.kept_completion(record()) == record().completions[1]
    assert store.kept_completion(record(answer=None)) == record().completions[0]
    assert store.kept_completion(record(answer="elsewhere")) == record().completions[0]


def test_a_question_twice_is_damage(tmp_path: Path) -> None:
    store.resume(tmp_path, {})
    store.append(tmp_path, [record(), record()])
    with pytest.raises(RunFolderError, match="has a question twice"):
        store.resume(tmp_path, {})


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    store.resume(tmp_path, {})
    store.append(tmp_path, [record("q1"), record("q2")])
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"x" + path.read_bytes())
    with pytest.raises(RunFolderError, match=r"records\.jsonl, line 1, is not JSON"):
        store.resume(tmp_path, {})


def test_a_folder_without_records(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="give the folder of an evaluation"):
        store.read_records(tmp_path)


def test_a_setting_that_is_new_or_gone_is_a_difference(tmp_path: Path) -> None:
    store.resume(tmp_path, {"a": 1})
    for other in ({"a": 1, "b": 2}, {}):
        with pytest.raises(RunFolderError, match="choose another folder"):
            store.resume(tmp_path, other)


def test_rows_and_settings_of_another_kind_are_damage(tmp_path: Path) -> None:
    store.resume(tmp_path, {})
    (tmp_path / "records.jsonl").write_text('{"id": "q1"}\n')
    with pytest.raises(RunFolderError, match="a row is no record"):
        store.resume(tmp_path, {})
    (tmp_path / "settings.json").write_text("[]")
    with pytest.raises(RunFolderError, match=r"settings\.json is damaged"):
        store.resume(tmp_path, {})


def test_an_adapter_is_known_by_its_weights_not_by_its_path(tmp_path: Path) -> None:
    store.resume(tmp_path / "e", {"adapter": "runs/x/adapter", "adapter_sha256": "aa"})
    assert store.resume(tmp_path / "e", {"adapter": "/elsewhere/x/adapter", "adapter_sha256": "aa"}) == []
    with pytest.raises(RunFolderError, match=r"adapter_sha256 = 'aa', not 'bb'"):
        store.resume(tmp_path / "e", {"adapter": "runs/x/adapter", "adapter_sha256": "bb"})
