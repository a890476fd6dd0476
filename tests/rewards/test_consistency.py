import pytest

from rarl.rewards.consistency import consistency

DIAGNOSIS = {
    "question": "What does this picture suggest?",
    "options": ["pneumonia", "tuberculosis", "normal", "emphysema"],
}
SIDE = {"question": "Which half of the picture is abnormal?", "options": [], "kind": "open"}
ZONE = {"question": "At what level is the abnormality?", "options": [], "kind": "open"}
COUNT = {"question": "In how many places is there disease?", "options": [], "kind": "number"}
NODULES = {"question": "How many nodules are there?", "options": [], "kind": "number", "facts": []}
LESION = {"question": "Has this patient got a lesion?", "options": [], "kind": "yesno"}
BRIGHT = {"question": "Can a bright lesion be seen here?", "options": [], "kind": "yesno"}
DARK = {"question": "Do you find any dark lesion?", "options": [], "kind": "yesno"}
EFFUSION = {"question": "Is there a pleural effusion?", "options": [], "kind": "yesno"}
PLAIN = {"facts": []}  # nothing known about what the values could be

ANSWERS = [("left", SIDE), ("yes", LESION), ("2", COUNT), ("2", NODULES), ("tuberculosis", DIAGNOSIS)]
NORMAL = "This is a chest X-ray. There are no lesions. This suggests a normal image."
RULE_OUT = "There is no pneumonia. This suggests tuberculosis."


@pytest.mark.parametrize(
    ("reasoning", "answer", "asked", "expected"),
    [
        # options: by text, by letter, ruled out, another one concluded, all of them named, none named
        ("", "tuberculosis", DIAGNOSIS, 1.0),
        ("", "B", DIAGNOSIS, 1.0),
        ("", "A", DIAGNOSIS, 0.0),
        ("", "pneumonia", DIAGNOSIS, 0.0),
        (NORMAL, "normal", DIAGNOSIS, 1.0),
        (NORMAL, "tuberculosis", DIAGNOSIS, 0.0),
        (RULE_OUT, "tuberculosis", DIAGNOSIS, 1.0),
        (RULE_OUT, "pneumonia", DIAGNOSIS, 0.0),
        ("It looks like pneumonia at first. But this suggests tuberculosis.", "tuberculosis", DIAGNOSIS, 1.0),
        ("It looks like pneumonia at first. But this suggests tuberculosis.", "pneumonia", DIAGNOSIS, 0.0),
        ("It is not tuberculosis.", "tuberculosis", DIAGNOSIS, 0.0),
        ("This is pneumonia, tuberculosis, normal, emphysema.", "pneumonia", DIAGNOSIS, 0.0),
        ("The spots are small and bright.", "pneumonia", DIAGNOSIS, 0.5),
        ("They are small, so the answer is B.", "B", DIAGNOSIS, 0.5),
        ("They are small, so the answer is B.", "tuberculosis", DIAGNOSIS, 0.5),
        ("They are small, so the answer is (B).", "C", DIAGNOSIS, 0.0),
        # an open answer beside the values that its fact could have
        ("", "left", SIDE, 1.0),
        ("", "right", SIDE, 0.0),
        ("", "the left side", SIDE, 1.0),
        ("There is one lesion on the right in the middle zone.", "middle", ZONE, 1.0),
        ("There is one lesion on the right in the middle zone.", "lower", ZONE, 0.0),
        ("There is one lesion on the right.", "lower", ZONE, 0.5),
        # and beside its opposites, where no fact says so
        ("A nodule lies in the left lung.", "left", SIDE | PLAIN, 1.0),
        ("A nodule lies in the left lung.", "right", SIDE | PLAIN, 0.0),
        ("An opacity fills the right lower lobe.", "right lower lobe", SIDE | PLAIN, 1.0),
        ("An opacity fills the right lower lobe.", "left lower lobe", SIDE | PLAIN, 0.0),
        ("The heart is enlarged.", "pneumothorax", SIDE | PLAIN, 0.5),
        ("No effusion is seen.", "effusion", SIDE | PLAIN, 0.0),
        # what is called normal settles nothing as long as something else does
        ("There is a nodule in the left lung. The right lung is clear.", "left", SIDE | PLAIN, 1.0),
        ("There is a nodule in the left lung. The right lung is clear.", "right", SIDE | PLAIN, 0.0),
        # numbers
        ("", "two", COUNT, 1.0),
        ("", "2", COUNT, 1.0),
        ("", "three", COUNT, 0.0),
        (NORMAL, "zero", COUNT, 1.0),
        (NORMAL, "0", COUNT, 1.0),
        (NORMAL, "one", COUNT, 0.0),
        ("There are two nodules.", "2", COUNT | PLAIN, 1.0),
        ("There are two nodules.", "3", COUNT | PLAIN, 0.0),
        ("There are two nodules of 5 mm.", "2", COUNT | PLAIN, 1.0),  # a size is no count
        ("One nodule is left, two are right: three nodules.", "3", NODULES, 1.0),
        ("One nodule is left, three are right: four nodules.", "3", NODULES, 0.0),
        ("There are two small nodules of 5 mm.", "2", NODULES, 1.0),
        ("There are two small nodules of 5 mm.", "5", NODULES, 0.0),
        ("Two are on the right and one is on the left.", "3", NODULES, 1.0),
        ("There are two nodules. So the answer is not two.", "2", NODULES, 0.0),
        ("The disease is spread.", "2", COUNT | PLAIN, 0.5),
        ("There is no disease.", "0", COUNT | PLAIN, 1.0),
        # yes or no: what the reasoning says of the question's words
        ("", "yes", LESION, 1.0),
        ("", "no", LESION, 0.0),
        (NORMAL, "no", LESION, 1.0),
        (NORMAL, "yes", LESION, 0.0),
        ("", "yes", BRIGHT, 1.0),
        ("", "no", BRIGHT, 0.0),
        ("", "no", DARK, 1.0),
        ("", "yes", DARK, 0.0),
        (NORMAL, "no", DARK, 1.0),
        ("The lungs are dark.", "yes", {"question": "Is there a fracture?", "options": [], "kind": "yesno"}, 0.5),
        ("There is a mass.", "yes", {"question": "Is there an abnormality?", "options": [], "kind": "yesno"}, 1.0),
        ("There is a mass.", "yes", {"question": "Is this image normal?", "options": [], "kind": "yesno"}, 0.0),
        ("No mass is seen.", "yes", {"question": "Is this image normal?", "options": [], "kind": "yesno"}, 1.0),
        (
            "There is a mass on the right.",
            "no",
            {"question": "Is the mass on the left?", "options": [], "kind": "yesno"},
            1.0,
        ),
        ("There are no lesions on the right. There is one lesion on the left.", "yes", LESION, 1.0),
        ("There are no lesions. There is one lesion.", "yes", LESION, 0.5),
        ("The field is grey. The answer is no.", "no", LESION, 0.5),  # to say it is no reason for it
        ("The field is grey. The answer is no.", "yes", LESION, 0.0),
        ("The spots are bright. The answer is no.", "yes", LESION, 0.0),
        ("There is a lesion. Yes.", "yes", LESION, 1.0),
        # nothing was found that a yes could rest on
        ("The lungs are clear. No fluid is seen.", "yes", EFFUSION, 0.0),
        ("The lungs are clear. No fluid is seen.", "no", EFFUSION, 1.0),
        ("The lungs, heart and bones are normal.", "yes", EFFUSION, 0.0),
        ("The angle is filled and no vessels pass it.", "yes", EFFUSION, 0.5),
        ("No intact fibres are seen.", "yes", {"question": "Is it torn?", "options": [], "kind": "yesno"}, 0.5),
        ("It is grossly dilated.", "yes", {"question": "Is the duct normal?", "options": [], "kind": "yesno"}, 0.0),
        # nothing that could lead anywhere
        *(("...", answer, asked, 0.0) for answer, asked in ANSWERS),
        ("I look at the image and see it.", "left", SIDE, 0.0),
    ],
)
def test_by_hand(value, gold, reasoning, answer, asked, expected):
    assert value(consistency, reasoning or gold, answer, **asked) == expected


def test_it_judges_the_completion_not_the_answer(value, gold):
    fluent_and_wrong = gold.replace("tuberculosis", "pneumonia")
    assert value(consistency, fluent_and_wrong, "pneumonia") == 1.0
    assert value(consistency, fluent_and_wrong, "tuberculosis") == 0.0


@pytest.mark.parametrize(
    "text", ["", "<think></think> <answer>left</answer>", "<think> left </think> <answer> </answer>"]
)
def test_an_empty_part_is_inconsistent(text):
    assert consistency([""], [text], question=["Which side?"], answer=["left"]) == [0.0]


def test_phantom_gold_is_consistent_and_other_answers_are_not():
    from rarl.data.phantom import load
    from rarl.prompting import ask, load_pool, render
    from rarl.rewards.columns import columns

    examples = [*load("train", limit=140), *load("unseen-wording", limit=70)]
    wrong = {"yes": "no", "no": "yes", "left": "right", "right": "left", "small": "large", "large": "small"}
    wrong |= {"upper": "lower", "middle": "upper", "lower": "middle"}
    wrong |= {"zero": "one", "one": "two", "two": "three", "three": "zero"}
    template = load_pool("default").reasoning
    prompts = [ask(example, template) for example in examples]
    others = [wrong.get(e.answer) or next(o for o in e.options if o != e.answer) for e in examples]
    for answers, expected in (([e.answer for e in examples], 1.0), (others, 0.0)):
        texts = [render(template.shape, e.rationale, answer) for e, answer in zip(examples, answers, strict=True)]
        values = consistency([list(p.messages) for p in prompts], texts, **columns(prompts))
        off = [(e.question, t, v) for e, t, v in zip(examples, texts, values, strict=True) if v != expected]
        assert off == []
