"""docs/reliability.md: its figures are those of the recorded runs, and its tests are there."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def recorded(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def test_saving_costs_what_was_measured_and_less_than_is_promised() -> None:
    found = recorded("run-phases.json")
    share = found["phases"]["Saving checkpoints"]["share"]
    assert share < 0.03
    assert found["every_steps"] == 50, "the default"
    assert f"| {share:.2%}".replace("%", " %") + f" of the embedded recipe ({found['steps']} steps" in PAGE


def test_the_fuzzing_found_nothing_in_more_cases_than_were_promised() -> None:
    found = recorded("fuzz.json")
    assert found["findings"] == []
    assert found["total"] == sum(found["cases"].values()) >= 2000
    assert f"| {found['total']:,} cases, no finding |" in PAGE


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(?:python )?((?:tests|benchmarks)/[\w/.]+)", PAGE)
    assert len(named) > 8
    for path in named:
        assert (ROOT / path).exists(), path


def test_a_step_waits_for_no_image() -> None:
    phases = recorded("run-phases.json")["phases"]
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    waits, encodes = (phases[name]["share"] for name in ("Waiting for images", "Encoding images"))
    assert waits < 0.002
    assert (
        f"waits for images during {100 * waits:.2f} % of the time, and encodes them during {100 * encodes:.1f} %"
        in page
    )
