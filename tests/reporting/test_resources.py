import pytest

import fake_run
import fake_training
from rarl.reporting.resources import duration, resources
from rarl.reporting.sources import read_sources
from rarl.types import StepMetrics


def found(folder):
    [source] = read_sources([folder.path])
    return resources(source)


@pytest.fixture
def folder(tmp_path):
    return fake_run.make(tmp_path / "run", evaluated=False)


def test_seconds_by_phase_add_up_to_the_whole(folder):
    fake_training.timings(folder, steps=10)
    assert [(each.name, each.seconds, each.share, each.median) for each in found(folder).phases] == [
        ("Sampling completions", 20, 0.5, 2),
        ("Scoring them", 5, 0.125, 0.5),
        ("Forward, backward and update", 10, 0.25, 1),
        ("Everything else", 5, 0.125, 0.5),
    ]
    assert found(folder).facts["Time of training"] == "40 s"


def test_evaluations_come_on_top_of_the_steps(folder):
    fake_training.timings(folder, steps=9)
    folder.append_timings(10, {"sample": 2.0, "score": 0.5, "train": 1.0, "whole": 4.0, "evaluate": 60.0})
    phases = {each.name: each for each in found(folder).phases}
    assert (phases["Evaluating in between"].share, phases["Evaluating in between"].median) == (0.6, 60)
    assert phases["Everything else"].seconds == 5


def test_tokens_and_their_speed(folder):
    fake_training.timings(folder, steps=10)
    fake_training.rollouts(folder, steps=10)
    facts = found(folder).facts
    assert facts["Completions"] == "40, for 2 different questions"
    assert facts["Tokens sampled"] == "400, 10 a completion"
    assert facts["Speed of sampling"] == "20 tokens a second"


def test_a_run_that_samples_nothing_tells_the_tokens_it_learned_from(folder):
    fake_training.timings(folder)
    for step in (4, 5):
        folder.append_metrics(StepMetrics(step, {"loss": 1.0, "completion/tokens": 600}))
    facts = found(folder).facts
    assert facts["Tokens learned from"] == "1,200"
    assert "Tokens sampled" not in facts


def test_peak_memory_is_shown_where_it_was_written_down(folder):
    fake_training.timings(folder)
    assert found(folder).facts["Peak memory"] == "not written down by this run"
    fake_training.timings(folder, peak_bytes=3_210_000_000)
    assert found(folder).facts["Peak memory"] == "3.21 GB"
    assert "peak_bytes" not in {each.name for each in found(folder).phases}


def test_what_was_not_timed_has_no_resources(folder):
    assert found(folder) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0352, "0.0352 s"), (99.4, "99.4 s"), (245, "4 min 5 s"), (12_000, "3 h 20 min")]
)
def test_durations_in_the_unit_that_suits(seconds, words):
    assert duration(seconds) == words
