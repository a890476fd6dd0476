import re
import shutil
from html.parser import HTMLParser

import pytest

import fake_run
import fake_training
import hostile_run
from rarl.environment import VERSION
from rarl.errors import ConfigError, RunFolderError
from rarl.files import read_json, write_json
from rarl.reporting import page as page_module
from rarl.reporting import write_report


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text between them."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.words, self.open, self.unbalanced = [], [], [], []
        self.source = path.read_text()
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "img", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
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
    folder = fake_run.make(tmp_path_factory.mktemp("whole") / "run")
    fake_training.rollouts(folder, steps=3)
    fake_training.timings(folder, steps=3)
    fake_training.probe(folder)
    return Page(write_report(folder.path))


def test_it_says_what_training_brought(page):
    assert (
        "No significant change in accuracy on mine.py:load, test : 50.0 % before, 75.0 % after, +25.0 points ["
        in page.text
    )
    assert "Only 20 clusters (patients or images) in mine.py:load, test: its intervals are unreliable." in page.text


def test_every_section_is_there_and_the_navigation_leads_to_it(page):
    ids = [section["id"] for section in page.all("section")]
    assert ids == ["results", "image", "groups", "examples", "learning", "rewards", "resources", "probe", "provenance"]
    assert [f"#{each}" for each in ids] == [link["href"] for link in page.all("a")][1:]
    assert all(
        section["aria-labelledby"] in {attrs.get("id") for _, attrs in page.elements} for section in page.all("section")
    )


def test_it_shows_examples_with_their_images_before_and_after(page):
    articles = [each for each in page.all("article") if "training" not in each["data-tags"]]
    assert len(articles) == 20
    assert len(page.all("img")) == 22  # and two questions of training
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.all("img"))
    assert page.text.count("✓ right") == 10 + 15
    assert "Options: yes · no" in page.text


def test_it_shows_groups_of_training_with_parts_and_advantages(page):
    assert page.text.count("Step 3 Think step by step") == 1
    for words in (
        "grounding total advantage tokens",
        "1.00 0.00 not scored 0.50 -1.00 10",
        "1.00 1.00 0.50 1.50 +1.00 10",
    ):
        assert words in page.text


def test_it_needs_nothing_from_outside(page):
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)", page.source)
    assert "@import" not in page.source
    [policy] = [attributes for attributes in page.all("meta") if "http-equiv" in attributes]
    assert "default-src 'none'" in policy["content"]
    assert "script-src 'sha256-" in policy["content"]
    assert len(page.source.encode()) < 10_000_000


def test_text_of_users_and_models_is_not_obeyed(page):
    assert not page.all("i")
    assert "Question <b>3</b>?" in page.text
    assert "It is <i>so</i>." in page.text


def test_hostile_text_stays_text_wherever_it_stands(tmp_path):
    page = Page(write_report(hostile_run.make(tmp_path / "run").path))
    assert page.unbalanced == page.open == []
    assert len(page.all("script")) == 1
    assert not page.all("iframe")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert page.text.count(hostile_run.ATTACKS[0]) > 200
    assert "{{ 7 * 191 }}" in page.text
    assert "1337" not in page.text


def test_the_tags_are_balanced_and_ids_are_unique(page):
    assert page.unbalanced == page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    inputs = {attributes["id"] for tag, attributes in page.elements if tag in ("input", "select")}
    assert inputs == {attributes["for"] for attributes in page.all("label")}


def test_every_figure_has_a_title_a_caption_and_words_for_those_who_do_not_see_it(page):
    figures = len(page.all("figure"))
    assert (
        figures
        == len(page.all("figcaption"))
        == len([each for each in page.all("div", role="img") if each["aria-label"]])
    )
    assert all(each.get("aria-hidden") == "true" for each in page.all("svg"))
    for title in ("Held-out accuracy", "Reward", "Parts of the reward", "Entropy", "Accuracy by kind of question"):
        assert title in page.text


def test_it_tells_how_it_was_made(page):
    for words in (
        'name = "trial"',
        "transformers",
        "Hash of the configuration",
        "Nothing left this machine",
        "None of 1 known ways",
    ):
        assert words in page.text


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


def test_without_images_it_says_so(folder):
    page = Page(write_report(folder.path, images=False))
    assert not page.all("img")
    assert "data:image" not in page.source
    assert "Images are left out of this file: report.images = false." in page.text


@pytest.mark.parametrize("text", ["{}", '{"time": 3, "command": "x", "packages": ["torch"], "cpus": null}'])
def test_what_the_environment_does_not_say_is_unknown(folder, text):
    (folder.path / "environment.json").write_text(text)
    page = Page(write_report(folder.path))
    assert "Command unknown" in page.text
    assert "Commit unknown" in page.text
    assert f"Made by rarl {VERSION}" in page.text


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
    assert "Nothing of this was evaluated to the end." in page.text
    assert "Unfinished: still running, or stopped, after all 3 steps, before the end of the evaluation" in page.text
    assert "Parts of the reward" in page.text
    assert not page.all("article")


def test_an_answer_that_could_not_be_read_and_a_part_not_scored_are_said_to_be_so(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    lost = fake_run.record(0, False, answer=None, reasoning=None, completions=("mumble",), parts={"grounding": None})
    fake_run.evaluation(folder, "", [lost])
    page = Page(write_report(folder.path))
    assert "No answer could be read from: mumble" in page.text
    assert "grounding not scored" in page.text
    assert "is 0.0 %" in page.text


def test_several_runs_stand_side_by_side(folder, tmp_path):
    other = fake_run.make(tmp_path / "other", after=range(20))
    page = Page(write_report([folder.path, other.path], tmp_path / "both.html"))
    assert "other is more often right than run on mine.py:load, test : 100.0 % against 75.0 %" in page.text
    assert "Side by side" in page.text
    assert "Differences are to run" in page.text
    assert [each["aria-label"] for each in page.all("div", role="img")][1].startswith(
        "Reward. run: from 0.25 to 0.75; other: from"
    )
    assert not page.all("dl")  # of one run alone there are numbers at a glance


def test_runs_that_cannot_be_compared_are_shown_one_by_one(folder, tmp_path):
    other = fake_run.make(tmp_path / "other")
    shutil.rmtree(other.path / "eval")
    page = Page(write_report([folder.path, other.path], tmp_path / "both.html"))
    assert "The runs are shown one by one:" in page.text
    assert "50.0 % before, 75.0 % after" in page.text


def test_an_evaluation_alone(folder, tmp_path):
    [place] = folder.path.glob("eval/mine*")
    page = Page(write_report(place, tmp_path / "evaluation.html"))
    assert "is 75.0 %" in page.text
    assert "An evaluation of unknown" in page.text
    # Nothing is said of what it doesn't have: a training, a change, a judge, a filter that finds nothing.
    assert not re.search(r"\b(train|gain|improved|worse|before|after|throughout|judge disagrees)", page.text, re.I)
    assert [each["value"] for each in page.all("input", type="radio")] == ["all", "wrong", "right"]
    assert [section["id"] for section in page.all("section")] == [
        "results",
        "image",
        "groups",
        "examples",
        "provenance",
    ]


def test_a_large_run_makes_a_page_that_is_not(tmp_path):
    path = write_report(hostile_run.large(tmp_path / "run", steps=300, questions=240, words=900).path)
    page = Page(path)
    assert path.stat().st_size < 6_000_000
    assert "120 of 240 questions of mine.py:load, test; 24 of 240 questions that came up in training" in page.text
    assert "more characters)" in page.text
    assert "The 24 with the most questions of 60." in page.text


def test_where_even_that_is_too_much_fewer_examples_are_shown(folder, monkeypatch):
    whole = len(write_report(folder.path).read_bytes())
    monkeypatch.setattr(page_module, "LARGEST", whole - 1)
    page = Page(write_report(folder.path))
    assert "12 of 20 questions" in page.text
    assert len(page.source.encode()) < whole


def test_a_report_of_several_runs_is_not_written_over_that_of_one(folder, tmp_path):
    with pytest.raises(ConfigError, match="name its file with -o"):
        write_report([folder.path, fake_run.make(tmp_path / "other").path])


def test_what_is_no_run_is_an_error(tmp_path):
    with pytest.raises(RunFolderError, match="is no run folder"):
        write_report(tmp_path)


def test_a_run_that_was_not_evaluated_says_so_and_is_no_unfinished_one(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    (folder.path / "config.toml").write_text(folder.config.override(["eval.enabled=false"]).to_toml())
    page = Page(write_report(folder.path))
    assert "It was not evaluated: eval.enabled was off." in page.text
    assert "Unfinished" not in page.text


def test_a_run_that_was_killed_shows_what_there_is(folder):
    (folder.path / "config.toml").write_text(folder.config.override(["train.steps=40"]).to_toml())
    fake_training.rollouts(folder, steps=4)  # the last one was not finished
    [after] = folder.path.glob("eval/mine*")
    between = folder.path / "eval" / "step-000002" / after.name
    between.parent.mkdir()
    after.rename(between)
    page = Page(write_report(folder.path))
    assert "Unfinished: still running, or stopped, after step 3 of 40; rarl train --resume goes on" in page.text
    assert "for 3 of 40 steps on mine.py:load" in page.text
    assert "in accuracy on mine.py:load, test (step 2) : 50.0 % before, 75.0 % after" in page.text
    assert "Parts of the reward" in page.text
    shutil.rmtree(folder.path / "eval" / "step-000002")
    assert "on mine.py:load, test (before training) is 50.0 %" in Page(write_report(folder.path)).text


def test_a_run_that_was_killed_within_its_first_step(folder):
    (folder.path / "config.toml").write_text(folder.config.override(["train.steps=40"]).to_toml())
    (folder.path / "metrics.jsonl").unlink()
    shutil.rmtree(folder.path / "eval")
    fake_training.rollouts(folder, steps=1)
    page = Page(write_report(folder.path))
    assert "Unfinished: still running, or stopped, before the first of 40 steps;" in page.text
    assert "Nothing of this was evaluated to the end." in page.text


def test_of_several_sets_the_numbers_at_the_top_say_which_they_are_of(folder):
    fake_run.evaluation(folder, "", [fake_run.record(i, i < 8) for i in range(20)], split="unseen")
    page = Page(write_report(folder.path))
    assert [each["aria-label"] for each in page.all("dl")] == ["mine.py:load, test", "mine.py:load, unseen"]
    assert "mine.py:load, unseen Accuracy 40.0 % [" in page.text


def test_it_says_how_the_questions_were_asked_again(page):
    assert (
        "The same questions were asked again: each with an image that is not its own, of another patient where these "
        "are known. What is answered right then was not seen in the own image." in page.text
    )
    assert "without their images" not in page.text


def test_the_adapter_of_an_evaluation_is_called_by_its_run(folder, tmp_path):
    [summary] = folder.path.glob("eval/mine*/summary.json")
    found = read_json(summary)
    found["settings"] |= {"base": "/models/tiny", "adapter": "/home/someone/runs/vqa-1/adapter"}
    write_json(summary, found)
    page = Page(write_report(summary.parent, tmp_path / "evaluation.html"))
    assert "An evaluation of tiny with the adapter vqa-1/adapter." in page.text
    assert "someone" not in page.source
