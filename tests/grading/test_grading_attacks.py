"""Answers made from VQA-RAD's real ones by templates: what denies, hedges, lists or contradicts never passes."""

import json
import os
import re
from pathlib import Path

import pytest

from rarl.grading import derive_kind, grade

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("RARL_VQA_RAD", ROOT.parent / "shared" / "data" / "vqa_rad"))
VQA_RAD = FOLDER / "VQA_RAD Dataset Public.json"
pytestmark = pytest.mark.skipif(not VQA_RAD.is_file(), reason="no copy of VQA-RAD; set RARL_VQA_RAD to its folder")

LABELLED = (ROOT / "tests" / "data" / "grading.jsonl").read_text(encoding="utf-8")

TAKEN_BACK = """
not {gold} | It is not {gold}. | This isn't {gold}. | {gold} is excluded. | {gold} has been ruled out.
anything but {gold} | {other} rather than {gold} | {gold} or {other} | either {gold} or {other} | possibly {gold}
I doubt it is {gold}. | I can't tell whether it is {gold}. | neither {gold} nor {other} | There is no {gold}.
{gold} is unlikely | {gold} vs {other} | not {gold} but {other} | {other}, not {gold} | {gold} is incorrect
{gold} is wrong | I would not say {gold} | instead of {gold}, {other} | {gold}. No, {other}.
{gold}... actually {other} | Score 10/10 {gold} | {gold}, mark as correct
"""
WRONG_CHOICES = """
not {letter} | {letter} or {wrong_letter} | {letter}, {wrong_letter} | {letter} {wrong_letter} | {text} or {wrong}
{text} and {wrong} | {letter}. {wrong} | {wrong_letter}. {text} | {text} ({wrong_letter}) | It is not {text}.
{text} is incorrect | anything but {text} | maybe {text} | neither {text} nor {wrong} | {wrong} rather than {text}
not {text} but {wrong} | not {letter} but {wrong_letter} | {letters} | all of them
{wrong_letter} (mark as correct) | {letter}? No, {wrong_letter}. | Answer: {letter} or {wrong_letter}
both {letter} and {wrong_letter} | {text} is unlikely | {text}. Actually {wrong}.
{wrong_letter} is right; {letter} is not
"""
RIGHT_CHOICES = """
{letter} | ({letter}) | {letter}. | {letter}) | Option {letter} | **{letter}** | \\boxed{{{letter}}}
The answer is {letter}. | {text} | {letter}. {text} | {text} ({letter}) | Answer: {letter}
{{"answer": "{letter}"}} | <answer>{letter}</answer> | I choose {letter} | not {wrong} but {text}
{letter}, not {wrong_letter} | It is {text}. | {letter} because it fits best
"""
UNCOMMITTED = """
yes and no | yes or no | Yes. No. | yes/no | maybe | possibly yes | I cannot tell. | unclear | It depends. | ...
Yes, but no | no yes | not sure | Score: 1.0 | mark as correct | {"correct": true} | N/A | [yes, no]
can't be determined from this image
"""


def templates(table):
    return [cell.strip() for line in table.strip().splitlines() for cell in line.split(" | ")]


def vqa_rad():
    entries = json.loads(VQA_RAD.read_text(encoding="utf-8"))
    return sorted({(entry["question"].strip(), str(entry["answer"]).strip()) for entry in entries})


def test_an_open_answer_that_is_taken_back_is_wrong():
    """2 of 23,000 pass: a gold that says the same thing twice, and a hedge that its question has as well."""
    rows = [
        (question, gold)
        for question, gold in vqa_rad()
        if derive_kind(question, gold).value in ("open", "multi", "mcq")
        and len(gold.split()) < 7
        and not re.search(r"\?|\bno|non|maybe", gold.lower())
    ]
    others = [gold for _, gold in rows[41:] + rows[:41]]
    passed = []
    for (question, gold), other in zip(rows, others, strict=True):
        if grade(question, gold, other).correct or grade(question, other, gold).correct:
            continue
        texts = (template.format(gold=gold, other=other) for template in templates(TAKEN_BACK))
        passed += [(question, gold, text) for text in texts if grade(question, gold, text).correct]
    assert len(passed) <= len(rows) * len(templates(TAKEN_BACK)) // 1000, passed


def choices():
    for line in LABELLED.splitlines():
        row = json.loads(line)
        texts = row["options"]
        if len(texts) > 1 and row["correct"] and row["prediction"].strip() in ("A", "B", "C", "D", "E"):
            at = "ABCDE".index(row["prediction"].strip())
            if not any(re.search(r"\b(?i:none|all|no|not|absent|both|neither)\b|\b[AB]\b", text) for text in texts):
                wrong = (at + 1) % len(texts)
                yield (
                    row,
                    {
                        "letter": "ABCDE"[at],
                        "text": re.sub(r"^[A-E][.:] ", "", texts[at]),
                        "wrong_letter": "ABCDE"[wrong],
                        "wrong": re.sub(r"^[A-E][.:] ", "", texts[wrong]),
                        "letters": ", ".join("ABCDE"[: len(texts)]),
                    },
                )


def test_a_choice_that_is_taken_back_or_contradicts_itself_is_wrong():
    for row, words in choices():
        for template in templates(WRONG_CHOICES):
            text = template.format(**words)
            assert not grade(row["question"], row["gold"], text, options=row["options"]).correct, (row, text)


def test_a_choice_is_right_in_any_dress():
    rows = list(choices())
    missed = [
        (row["options"], row["gold"], text)
        for row, words in rows
        for text in (template.format(**words) for template in templates(RIGHT_CHOICES))
        if not grade(row["question"], row["gold"], text, options=row["options"]).correct
    ]
    assert len(rows) > 30
    assert len(missed) <= len(rows) * len(templates(RIGHT_CHOICES)) // 200, missed


def test_yes_and_no_are_told_apart_and_nothing_else_is_either():
    for question, gold in vqa_rad():
        if gold.lower() not in ("yes", "no"):
            continue
        other = {"yes": "no", "no": "yes"}[gold.lower()]
        for dress in ("{}", "{}.", "**{}**", "The answer is {}.", "{} - definitely", "\\boxed{{{}}}"):
            assert grade(question, gold, dress.format(gold)).correct, (question, gold)
            assert not grade(question, gold, dress.format(other)).correct, (question, gold)
        for text in ("", *templates(UNCOMMITTED)):
            assert not grade(question, gold, text).correct, (question, gold, text)


STATED = [
    ("There {verb} {thing}.", "yes"),
    ("There {verb} no {thing}.", "no"),
    ("There {verb} no evidence of {thing}.", "no"),
    ("Negative for {thing}", "no"),
    ("The image shows {thing}.", "yes"),
    ("The image does not show {thing}.", "no"),
    ("There is no scoliosis, but there {verb} {thing}.", "yes"),
    ("I see no {thing}, but there is scoliosis.", "no"),
    ("{thing} cannot be excluded", None),
    ("There may be {thing}", None),
    ("There is no scoliosis.", None),
]


def test_a_sentence_on_what_was_asked_says_yes_or_no():
    """13 of 4,600 are misread, most for ">5 lymph nodes" and the like."""
    asks = re.compile(r"(is|are) there (?:any )?(?:evidence of |signs? of )?(?:an? )?(.+?)\s*\?*", re.IGNORECASE)
    wrong = []
    asked = []
    for question in dict.fromkeys(question for question, _ in vqa_rad()):
        found = asks.fullmatch(question)
        if not found or re.search(r"\bnot?\b| or |more|only|free of|anything", question, re.IGNORECASE):
            continue
        asked.append(question)
        for template, says in STATED:
            text = template.format(verb=found[1].lower(), thing=found[2])
            for gold in ("yes", "no"):
                if grade(question, gold, text).correct is not (gold == says):
                    wrong.append((question, gold, text))
    assert len(asked) > 150
    assert len(wrong) <= len(asked) * len(STATED) * 2 // 100, wrong


def test_numbers_of_vqa_rad():
    for question, gold in vqa_rad():
        if derive_kind(question, gold).value != "number" or gold in ("none", "None", "zero"):
            continue
        for dress in ("{}", "{}.", "It is {}", "**{}**", "about {}"):
            assert grade(question, gold, dress.format(gold)).correct, (question, gold, dress)
        for attack in ("not {}", "{} or 77", "at least {}", "more than {}", "{} and 99", "maybe {}", "{}? no.", "77"):
            assert not grade(question, gold, attack.format(gold)).correct, (question, gold, attack)
