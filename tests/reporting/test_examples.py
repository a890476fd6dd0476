from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_run
import fake_training
from rarl.draws import Draws
from rarl.judges.rules import NAME as RULES
from rarl.reporting.breakdown import question_sets
from rarl.reporting.cards import Answer, Card
from rarl.reporting.examples import CHANGES, browse, choose, clipped
from rarl.reporting.pictures import Library
from rarl.reporting.sources import read_sources
from rarl.types import Verdict


def rank(name):
    return Draws(0).at(name).integer()


def cards(tags):
    return [Card(f"q{i}", "set", "?", "yes", (), (), [tag]) for i, tag in enumerate(tags)]


def browser(*folders, count=40):
    sources = read_sources([folder.path for folder in folders])
    return browse(sources, question_sets(sources), Library(sources, images=True), count)


def test_rare_changes_are_all_shown_and_common_ones_are_drawn():
    chosen = choose(cards(["right"] * 100 + ["improved"] * 2 + ["still-wrong"] * 10), 12, rank)
    tags = [card.tags[0] for card in chosen]
    assert {tag: tags.count(tag) for tag in CHANGES} == {"improved": 2, "worse": 0, "still-wrong": 5, "right": 5}
    assert [card.id for card in chosen] == sorted((card.id for card in chosen), key=rank)


def test_the_draw_does_not_depend_on_the_order_of_the_questions():
    found = cards(["right"] * 50 + ["worse"] * 50)
    assert choose(found, 10, rank) == choose(found[::-1], 10, rank)


def test_disagreements_have_a_fifth_of_the_places():
    found = cards(["right"] * 90) + [Card(f"d{i}", "set", "?", "yes", (), (), ["right", "disagree"]) for i in range(90)]
    assert sum("disagree" in card.tags for card in choose(found, 20, rank)) >= 4


@given(st.lists(st.sampled_from(CHANGES), max_size=40), st.integers(0, 40))
def test_as_many_as_asked_for_if_there_are_so_many(tags, count):
    chosen = choose(cards(tags), count, rank)
    assert len(chosen) == min(count, len(tags))
    assert len({card.id for card in chosen}) == len(chosen)


def test_what_changed_and_what_is_wrong(tmp_path):
    found = browser(fake_run.make(tmp_path / "run"))  # right: 0 to 9 before, 5 to 19 after
    tags = {card.id: tuple(card.tags) for card in found.cards}
    assert (tags["q0"], tags["q5"], tags["q10"]) == (("worse", "wrong"), ("right",), ("improved",))
    assert found.filters == [
        ("all", "All", 20),
        ("wrong", "Wrong", 5),
        ("improved", "Improved", 10),
        ("worse", "Got worse", 5),
        ("right", "Right throughout", 5),
    ]


def test_of_answers_that_are_the_only_ones_no_change_is_told(tmp_path):
    [place] = fake_run.make(tmp_path / "run").path.glob("eval/mine*")
    sources = read_sources([place])
    found = browse(sources, question_sets(sources), Library(sources, images=False), 40)
    assert found.filters == [("all", "All", 20), ("wrong", "Wrong", 5), ("right", "Right", 15)]
    assert not found.changes
    assert not found.drawn  # all 20 are there
    assert found.shown == ["20 of 20 questions of mine.py:load, test"]


def judged(right, value, judge="m"):
    verdict = Verdict(value, "correctness", "because", judge, "correctness-1 sha256:0")
    return Answer("After", replace(fake_run.record(1, right), verdicts={"correctness": verdict}))


@pytest.mark.parametrize(
    ("right", "value", "disputed"),
    [(True, 1 / 3, True), (True, 2 / 3, False), (False, 2 / 3, True), (False, 0.0, False), (True, None, False)],
)
def test_where_judge_and_rules_disagree(right, value, disputed):
    assert judged(right, value).disputed is disputed


def test_the_rules_do_not_disagree_with_themselves():
    answer = judged(False, 2 / 3, RULES)
    assert not answer.disputed
    assert answer.judged == []


def test_groups_of_training_are_illustrated_from_the_data(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    fake_training.rollouts(folder, steps=10)
    found = browser(folder)
    assert [card.question for card in found.cards] == ["Question <b>0</b>?", "Question <b>1</b>?"]
    assert [[visit.step for visit in card.visits] for card in found.cards] == [[1, 9], [2, 10]]
    [first, _] = found.cards
    assert first.visits[0].instruction.startswith("Think step by step")
    assert first.visits[0].parts == ["format", "accuracy", "grounding"]
    assert (first.gold, first.options, len(first.pictures)) == ("yes", ("yes", "no"), 1)
    assert found.shown == ["2 of 2 questions that came up in training"]


def test_a_group_in_which_all_earned_the_same_teaches_nothing(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    fake_training.rollouts(folder, steps=1, group=2)
    text = (folder.path / "rollouts.jsonl").read_text()
    assert browser(folder).cards[0].visits[0].teaches
    (folder.path / "rollouts.jsonl").write_text(
        text.replace('"advantage": -1.0', '"advantage": 0.0').replace("1.0}", "0.0}")
    )
    assert not browser(folder).cards[0].visits[0].teaches


def test_of_several_runs_each_answers(tmp_path):
    found = browser(fake_run.make(tmp_path / "a" / "a"), fake_run.make(tmp_path / "b" / "b", after=range(20)))
    assert {tuple(answer.label for answer in card.answers) for card in found.cards} == {("a", "b")}
    assert ("improved", "Improved", 5) in found.filters


def test_a_long_text_is_cut_and_says_so():
    assert clipped("short") == "short"
    assert clipped("x" * 5200) == "x" * 4000 + " ... (1,200 more characters)"
