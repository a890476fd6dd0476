import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rarl.studies.design import Claim, Contrast, load_study
from rarl.studies.effects import Effect
from rarl.studies.page import study_html
from rarl.studies.results import ClaimResult, StudyResults
from rarl.studies.tables import verdicts
from small_study import TOML, write


def effect(mean, low, high):
    return Effect(mean, low, high, 0.008, 0.05, (mean,) * 8, 100, 0)


def claim(says, *effects, **changes):
    contrasts = tuple(Contrast(arm="rl", against="sft") for _ in effects) or (Contrast(arm="rl", against="base"),)
    return ClaimResult(Claim(says=says, sets=("away",), contrasts=contrasts), effects, holm=0.04, **changes)


@pytest.fixture
def results(tmp_path):
    """Of a study whose numbers are made up; nothing was trained."""
    study = load_study(write(tmp_path, TOML.replace('title = "RL"', 'title = "<b>RL</b>"')))
    (tmp_path / "environment.json").write_text(
        '{"command": ["rarl", "study"], "python": "3", "cpus": 2, "cpu": "one", '
        '"packages": {"torch": "2", "transformers": "5", "peft": "0"}}'
    )
    (tmp_path / "sessions.jsonl").write_text('{"jobs": 1, "seconds": 61.0}\n')
    cells, roles = (
        {cell: {"accuracy": effect(*mean)} for cell in found}
        for found, mean in ((study.cells, (0.661, 0.62, 0.702)), (study.roles, (0.55, 0.5, 0.6)))
    )
    claims = (
        claim("first", effect(0.12, 0.05, 0.19), native=(effect(0.3, 0.2, 0.4),)),
        claim("second", effect(-0.12, -0.19, -0.05), effect(0.1, 0.05, 0.15)),
        claim("third", effect(0.01, -0.05, 0.07)),
        claim("fourth", why_not="sft was skipped: it lacks <facts>"),
    )
    skipped = {"sft": "8 of 8 have no rationale"}
    return StudyResults(study, tmp_path, skipped, {}, {"rl": cells}, {"rl": roles}, {}, claims, {"rl": {}}, {})


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href") and not value.startswith("#")]


def test_how_the_claims_fared_is_the_headline(results):
    assert verdicts(results) == "Of 4 claims: 1 supported, 1 contradicted, 1 undecided, 1 not tested."
    assert verdicts(replace(results, claims=())) == "No claim was put to the test."
    assert f"<h1>{verdicts(results)}</h1>" in study_html(results)


def test_the_page_says_what_the_results_say_and_escapes_it(results):
    page = study_html(results)
    text = re.sub(r"<[^>]+>", "", page)
    assert "+12.0 [5.0, 19.0]" in text
    assert "+30.0 [20.0, 40.0], p 0.008" in text, "by native prompts"
    assert "66.1 [62.0, 70.2]" in text
    assert "it lacks &lt;facts&gt;" in page
    assert "&lt;b&gt;RL&lt;/b&gt;" in page
    assert "<b>RL</b>" not in page
    assert "SFT (8 of 8 have no rationale)" in text
    assert "wall time 1 minute." in text


def test_the_page_needs_no_other_file(results):
    links = Links()
    links.feed(study_html(results))
    assert links.found == []


def test_an_interval_is_drawn_inside_its_scale(results):
    for start, end in re.findall(r'class="whisker s0" d="M([\d.]+) [\d.]+H([\d.]+)"', study_html(results)):
        assert 11 <= float(start) < float(end) <= 169
