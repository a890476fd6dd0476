import pytest

from rarl.rewards.columns import columns
from rarl.rewards.grounding import Counts, against_facts, against_phrases, against_rationale, grounding, phrase_of
from rarl.types import Fact, Shape

RATIONALE = "There is a large right pleural effusion. No pneumothorax. The heart is enlarged."
QUESTION = "What is abnormal?"


def test_gold_states_everything(value, gold):
    assert value(grounding, gold) == 1.0


@pytest.mark.parametrize(
    ("reasoning", "right", "wrong", "missing"),
    [
        ("", 0, 0, 8),
        ("This is a chest X-ray.", 1, 0, 7),
        ("There is one lesion.", 0, 1, 8),  # an alternative that is no value
        ("There are two lesions, so one lesion more than one lesion.", 0, 1, 8),  # the value and an alternative
        ("They lie in the upper and lower zones.", 2, 0, 6),
        ("They lie in the upper zone.", 1, 0, 7),
        ("They lie in the upper and middle zones.", 0, 1, 8),
        ("They lie in the upper, middle and lower zones.", 0, 1, 8),  # who lists all of them states none
        ("It is not on the left.", 0, 1, 8),  # denies what is there
        ("It is not on the left but on the right.", 0, 1, 8),  # one mistake, not two
        ("It is not on the right.", 0, 0, 8),
        ("It is on the left, not on the right.", 1, 0, 7),
        ("There are no lesions.", 0, 1, 8),
        ("There are no lesions. This is normal.", 0, 2, 8),
        ("There are no lesions. There are two lesions.", 0, 1, 8),  # present and absent alike
        ("Two small bright LESIONS on the Left.", 4, 0, 4),
        ("Chest x-ray with 2 lesions.", 2, 0, 6),
    ],
)
def test_against_facts_by_hand(example, reasoning, right, wrong, missing):
    assert against_facts(reasoning, example.facts) == Counts(right, wrong, missing)


def test_f1_by_hand():
    assert Counts(3, 1, 5).f1 == pytest.approx(2 * 3 / (2 * 3 + 1 + 5))
    assert Counts(0, 0, 0).f1 == 0.0
    assert Counts(0, 4, 4).f1 == 0.0


def test_what_is_not_there_must_not_be_stated(normal_example):
    facts = normal_example.facts
    truth = "This is a chest X-ray. There are no lesions. This suggests a normal image."
    assert against_facts(truth, facts) == Counts(3, 0, 0)
    assert against_facts(f"{truth} It is bright.", facts) == Counts(3, 1, 0)
    assert against_facts(f"{truth} There is none on the left or on the right.", facts) == Counts(3, 0, 0)
    assert against_facts("There is one lesion on the left in the upper zone.", facts) == Counts(0, 3, 3)


def test_a_value_within_another_is_no_invention():
    facts = (Fact("modality", "head CT", ("head CT", "CT", "MRI")),)
    assert against_facts("This is a head CT.", facts) == Counts(1, 0, 0)
    assert against_facts("This is a CT.", facts) == Counts(0, 1, 1)


def test_listing_every_keyword_earns_nothing(value, example):
    everything = ", ".join(phrase for fact in example.facts for phrase in fact.alternatives)
    assert value(grounding, everything) == 0.0
    assert value(grounding, f"There could be {everything}.") == 0.0


def test_against_rationale_by_hand():
    # wanted: large+, right+, pleural+, effusion+, pneumothorax-, heart+, enlarged+
    assert against_rationale(RATIONALE, RATIONALE, QUESTION) == Counts(7, 0, 0)
    assert against_rationale("A right pleural effusion.", RATIONALE, QUESTION) == Counts(3, 0, 4)
    assert against_rationale("A left pleural effusion.", RATIONALE, QUESTION) == Counts(2, 1, 5)
    # a denial where the reference affirms, and the other way round, is wrong
    assert against_rationale("No pleural effusion. There is a pneumothorax.", RATIONALE, QUESTION) == Counts(0, 3, 7)
    assert against_rationale("", RATIONALE, QUESTION) == Counts(0, 0, 7)


def test_the_words_of_the_question_are_no_finding():
    question = "Is there a large right pleural effusion?"
    assert against_rationale("large right pleural effusion", RATIONALE, question) == Counts(0, 0, 3)


def test_without_facts_the_rationale_counts(value):
    assert value(grounding, RATIONALE, facts=[], rationale=RATIONALE, question=QUESTION) == 1.0
    some = value(grounding, "A right pleural effusion.", facts=[], rationale=RATIONALE, question=QUESTION)
    assert some == pytest.approx(6 / 10)


def test_filler_never_raises_it(value):
    for filler in ("The sky is blue.", "Many pneumonias look like this one.", "Let me look at the image."):
        before = value(grounding, RATIONALE, facts=[], rationale=RATIONALE, question=QUESTION)
        after = value(grounding, f"{RATIONALE} {filler}", facts=[], rationale=RATIONALE, question=QUESTION)
        assert after <= before


@pytest.mark.parametrize(
    ("shape", "facts", "rationale", "applies"),
    [
        (Shape.THINK, True, None, True),
        (Shape.THINK_AFTER, False, RATIONALE, True),
        (Shape.DIRECT, True, RATIONALE, False),
        (Shape.THINK, False, None, False),
        (Shape.THINK, False, "  ", False),
        (Shape.THINK, False, "This image shows it.", False),  # nothing in it that could be stated
    ],
)
def test_where_it_applies(rollout, shape, facts, rationale, applies):
    table = columns([rollout("", shape=shape).prompt])
    row = {name: values[0] for name, values in table.items()}
    row |= {"rationale": rationale, "question": QUESTION} | ({} if facts else {"facts": []})
    assert grounding.applies(**row) is applies
    (result,) = grounding(
        [""], [f"<think> {RATIONALE} </think> <answer> x </answer>"], **{k: [v] for k, v in row.items()}
    )
    assert (result is not None) is applies


def test_facts_without_a_value_leave_nothing_to_state(rollout):
    row = {name: values[0] for name, values in columns([rollout("").prompt]).items()}
    row |= {"facts": [{"name": "side", "value": None, "alternatives": ["left", "right"]}], "rationale": None}
    assert not grounding.applies(**row)


PHRASES = ("opacity in the right lower lobe", "no effusion", "normal heart size")


@pytest.mark.parametrize(
    ("reasoning", "right", "wrong", "missing"),
    [
        ("In the right lower lobe there is an opacity. No effusion. The heart is normal in size.", 3, 0, 0),
        ("There is opacification. It is in the lower lobe on the right.", 1, 0, 2),  # taken together
        ("There is an opacity in a lobe.", 0.5, 0, 2.5),  # two words of four
        ("There is a lobe.", 0, 0, 3),  # one of four is too little
        ("There is an opacity in the left lower lobe.", 0, 1, 3),  # another side
        ("There is no opacity in the right lower lobe.", 0, 1, 3),
        ("There is a large effusion.", 0, 1, 3),
        ("An effusion is absent, and the heart is not normal.", 1, 1, 2),
        ("No effusion. A hernia and a fracture are seen.", 1, 0.5, 2),  # a quarter for each invention
        ("There is an effusion. No effusion.", 0, 1, 3),
        ("", 0, 0, 3),
    ],
)
def test_against_phrases_by_hand(reasoning, right, wrong, missing):
    assert against_phrases(reasoning, PHRASES, "What is wrong?") == Counts(right, wrong, missing)


def test_what_is_asked_and_its_signs_are_no_inventions():
    counts = against_phrases("The angle is blunted by an effusion.", ["left"], "Is there a pleural effusion? yes")
    assert counts.wrong == 0


@pytest.mark.parametrize(
    ("name", "value", "phrase"),
    [
        ("no effusion", "no effusion", "no effusion"),
        ("side", "left", "left"),
        ("heart", "normal", "heart normal"),
        ("effusion", "False", "no effusion"),
        ("effusion", "absent", "no effusion"),
        ("effusion", "present", "effusion"),
        ("nodules", "2", "nodules 2"),
    ],
)
def test_a_fact_as_a_phrase(name, value, phrase):
    assert phrase_of(Fact(name, value)) == phrase


def test_what_is_true_in_general_is_not_right(value):
    asked = {"question": "What is it?", "options": [], "kind": "open", "rationale": None}
    lecture = "Pneumonia is an infection of the lung with consolidation."
    seen = "Consolidation of the lung is seen."
    facts = [{"name": "lung consolidation", "value": "lung consolidation"}]
    assert value(grounding, seen, "pneumonia", facts=facts, **asked) == 1.0
    assert value(grounding, lecture, "pneumonia", facts=facts, **asked) == 0.0
    asked["rationale"] = "Consolidation of the lung."
    assert value(grounding, lecture, "pneumonia", facts=[], **asked) == 0.0
