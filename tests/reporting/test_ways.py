import fake_run
from rarl.evaluation import compare
from rarl.files import read_json, write_json
from rarl.reporting import comparison_text, write_report
from rarl.reporting.conclusions import of_comparison, of_run, tiles
from rarl.reporting.sources import read_sources
from rarl.reporting.ways import how_asked, marked


def evaluated(path, name, **asked):
    """An evaluation alone that was asked so."""
    [made] = fake_run.make(path / f"run-{name}").path.glob("eval/mine*")
    made = made.rename(path / name)
    settings = read_json(made / "settings.json") | {"data": "ward", "base": "tiny"} | asked
    write_json(made / "settings.json", settings)
    write_json(made / "summary.json", read_json(made / "summary.json") | {"settings": settings})
    return made


def said(sentence):
    return "".join(each.text for each in sentence)


def test_a_label_says_how_it_was_asked():
    assert marked("a", {}) == "a"
    assert marked("a", {"control": "question_only"}) == "a (no image)"
    assert (
        marked("a", {"control": "blank", "shape": "direct", "samples": 5}) == "a (blank image, answer alone, vote of 5)"
    )
    assert marked("a", {"samples": 1}) == "a (greedy)"


def test_beside_another_a_run_under_a_control_is_named_as_such(tmp_path):
    folders = [evaluated(tmp_path, "own", control="none"), evaluated(tmp_path, "ctl-blank", control="blank")]
    found = compare(folders)
    for form in ("md", "latex"):
        text = comparison_text(found, form)
        assert "ctl-blank (blank image) " in text
        assert "not asked in the same way" in text
        assert "own (" not in text
    [sentence] = of_comparison(found)
    assert " between ctl-blank (blank image) and own on ward, test" in said(sentence)
    page = write_report(folders, tmp_path / "both.html").read_text()
    assert "Asked with a blank image." in page
    assert "was not asked in the same way" in page


def test_of_one_evaluation_the_sentence_the_line_about_it_and_its_numbers_say_it(tmp_path):
    [source] = read_sources([evaluated(tmp_path, "voted", control="swapped", samples=5, shape="think")])
    assert said(of_run(source.results[0])).startswith("Accuracy on ward, test, another image (vote of 5) is 75.0 %")
    assert how_asked(source) == ["to think first and then answer, with another image, by majority vote of 5 samples"]
    [shown] = tiles([source]).values()
    assert [tile.label for tile in shown[:2]] == [
        "Accuracy (another image, vote of 5)",
        "Reasoning quality (another image, vote of 5)",
    ]


def test_as_usual_nothing_is_marked(tmp_path):
    [source] = read_sources([evaluated(tmp_path, "plain", control="none", samples=1, shape="direct")])
    assert said(of_run(source.results[0])).startswith("Accuracy on ward, test is ")
    assert how_asked(source) == ["for the answer alone, greedily"]
    [shown] = tiles([source]).values()
    assert shown[0].label == "Accuracy"
