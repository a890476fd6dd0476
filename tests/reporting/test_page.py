import re
from html.parser import HTMLParser

import pytest

import fake_run
from rarl.errors import RunFolderError
from rarl.reporting import write_report


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text between them."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.words = [], []
        self.source = path.read_text()
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, name, **attributes):
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [attrs for tag, attrs in self.elements if tag == name and wanted.items() <= attrs.items()]


@pytest.fixture
def folder(tmp_path):
    return fake_run.make(tmp_path / "run")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return Page(write_report(fake_run.make(tmp_path_factory.mktemp("whole") / "run").path))


def test_it_says_what_training_brought(page):
    assert "accuracy went from 50.0 % to 75.0 %" in page.text
    assert "+25.0 points" in page.text
    assert "this run does not show a change" in page.text  # 20 questions are few: the interval holds 0


def test_it_shows_examples_with_their_images_before_and_after(page):
    articles = page.all("article")
    assert len(articles) == 20
    assert len(page.all("img")) == 20
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.all("img"))
    changes = [article["data-change"].split()[0] for article in articles]
    assert {change: changes.count(change) for change in changes} == {"improved": 10, "worse": 5, "right": 5}
    assert page.text.count("✓ right") == 10 + 15
    assert "Options: yes · no" in page.text


def test_it_needs_nothing_from_outside(page):
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)", page.source)
    assert "@import" not in page.source
    [policy] = [attributes for attributes in page.all("meta") if "http-equiv" in attributes]
    assert "default-src 'none'" in policy["content"]
    assert len(page.source.encode()) < 10_000_000


def test_text_of_users_and_models_is_not_obeyed(page):
    assert not page.all("b")
    assert not page.all("i")
    assert "Question <b>3</b>?" in page.text
    assert "It is <i>so</i>." in page.text


def test_every_figure_has_a_title_and_a_caption(page):
    figures = len(page.all("figure"))
    assert figures == len(page.all("figcaption")) == len([d for d in page.all("div", role="img") if d["aria-label"]])
    for title in ("Held-out accuracy", "Reward", "Parts of the reward", "Entropy", "Accuracy by kind of question"):
        assert title in page.text
    assert "one row may fall while the whole rises" in page.text


def test_labels_and_ids_agree(page):
    ids = [attributes["id"] for tag, attributes in page.elements if tag == "input"]
    assert ids == [attributes["for"] for attributes in page.all("label")]
    assert len(set(ids)) == len(ids) == 5


def test_it_tells_how_it_was_made(page):
    assert 'name = "trial"' in page.text
    assert "transformers" in page.text


def test_it_can_be_written_elsewhere_and_again(folder, tmp_path):
    first = write_report(folder.path, tmp_path / "there.html")
    assert first == tmp_path / "there.html"
    assert not folder.report.exists()
    assert write_report(folder.path).read_text() == first.read_text()


def test_without_the_data_set_it_has_no_images_and_says_so(folder, tmp_path):
    (tmp_path / "mine.py").unlink()
    page = Page(write_report(folder.path))
    assert not page.all("img")
    assert "The images are not shown" in page.text
    assert len(page.all("article")) == 20


@pytest.mark.parametrize("text", ["{}", '{"time": 3, "command": "x", "packages": ["torch"], "cpus": null}'])
def test_what_the_environment_does_not_say_is_unknown(folder, text):
    (folder.path / "environment.json").write_text(text)
    page = Page(write_report(folder.path))
    assert "Command unknown" in page.text
    assert "Commit unknown" in page.text
    assert "Made by rarl unknown" in page.text
    assert "accuracy went from 50.0 % to 75.0 %" in page.text


def test_a_damaged_file_of_the_run_is_named_and_no_report_is_written_over(folder):
    report = write_report(folder.path)
    before = report.read_bytes()
    [summary] = folder.path.glob("eval/mine*/summary.json")
    for path, text in ((folder.path / "metrics.jsonl", "[]\n"), (summary, '{"settings": 3}'), (summary, "{")):
        whole = path.read_text()
        path.write_text(text)
        with pytest.raises(RunFolderError, match=rf"{path.name}.* is .*damaged"):
            write_report(folder.path)
        assert path.read_text() == text
        path.write_text(whole)
    assert report.read_bytes() == before


def test_without_an_evaluation_it_shows_the_training(tmp_path):
    page = Page(write_report(fake_run.make(tmp_path / "run", evaluated=False).path))
    assert "was not evaluated" in page.text
    assert "Parts of the reward" in page.text
    assert not page.all("article")


def test_an_answer_that_could_not_be_read_and_a_part_not_scored_are_said_to_be_so(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    lost = fake_run.record(0, False, answer=None, reasoning=None, completions=("mumble",), parts={"grounding": None})
    fake_run.evaluation(folder, "", [lost])
    page = Page(write_report(folder.path))
    assert "No answer could be read from: mumble" in page.text
    assert "grounding not scored" in page.text
    assert "accuracy is 0.0 % after training" in page.text


def test_what_is_no_run_is_an_error(tmp_path):
    with pytest.raises(RunFolderError, match="is no run folder"):
        write_report(tmp_path)
