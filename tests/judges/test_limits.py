"""Pauses, gates and budgets by the clock and by hand."""

import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.draws import Draws
from rarl.judges.limits import Budget, Gate, pause, retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.25", 0.25),
        (" 3 ", 3.0),
        ("-5", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30.0),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("inf", float("inf")),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after({"retry-after": value}, NOW) == seconds
    assert retry_after({"Retry-After": value}, NOW) == seconds


@given(st.text())
def test_any_header_is_seconds_or_nothing(value):
    found = retry_after({"Retry-After": value}, NOW)
    assert found is None or found >= 0


def test_without_the_header():
    assert retry_after({"Date": "7"}, NOW) is None


def test_pauses_double_within_their_jitter_and_are_the_same_again():
    draws = [Draws(0).at("query", attempt) for attempt in range(12)]
    pauses = [pause(attempt, at) for attempt, at in enumerate(draws)]
    for attempt, seconds in enumerate(pauses):
        longest = min(60.0, 2.0**attempt)
        assert longest / 2 <= seconds <= longest
    assert pauses == [pause(attempt, at) for attempt, at in enumerate(draws)]
    assert len({pause(3, Draws(0).at(f"query {i}")) for i in range(20)}) == 20


def test_a_gate_keeps_the_longest_hold_and_lets_go_when_stopped():
    gate, stop = Gate(), threading.Event()
    start = time.monotonic()
    gate.wait(stop)
    gate.hold(0.15)
    gate.hold(0.01)
    gate.wait(stop)
    assert 0.14 <= time.monotonic() - start < 10
    gate.hold(60)
    threading.Timer(0.05, stop.set).start()
    start = time.monotonic()
    gate.wait(stop)
    assert time.monotonic() - start < 20


def test_budgets():
    budget = Budget(max_requests=3, max_tokens=100)
    assert [budget.take() for _ in range(2)] == ["", ""]
    budget.spend(60, 39)
    assert budget.take(images=2) == ""
    assert "judge.max_requests = 3" in budget.take()
    budget = Budget(max_tokens=100)
    assert budget.take() == ""
    budget.spend(60, 40)
    assert "judge.max_tokens_total = 100" in budget.take()
    assert budget.spent() == {"requests": 1, "prompt_tokens": 60, "completion_tokens": 40, "images": 0}


def test_a_budget_is_never_exceeded_by_several_at_once():
    budget, granted = Budget(max_requests=500), []
    threads = [threading.Thread(target=lambda: granted.extend(not budget.take() for _ in range(200))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 500
