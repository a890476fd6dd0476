from dataclasses import replace

import pytest

import fake_run
from rarl.files import read_json, write_json
from rarl.reporting.provenance import judge_sent, provenance, without_folders
from rarl.reporting.results import Evaluation, Result
from rarl.reporting.sources import read_sources
from rarl.types import Verdict


def result(judge, verdicts=()):
    [source] = read_sources([fake_run.make(judge.pop("path")).path])
    [found] = source.results
    records = [replace(found.after.records[0], verdicts={each.axis: each for each in verdicts})]
    return Result("set", "test", None, Evaluation(records, found.after.summary, judge))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/someone/data/mine.py:load", ".../mine.py:load"),
        ("~/images", ".../images"),
        (r"C:\Users\someone\images", ".../images"),
        ("Qwen/Qwen2-VL-2B-Instruct", "Qwen/Qwen2-VL-2B-Instruct"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ({"a": ["/x/y", 3, None]}, {"a": [".../y", 3, None]}),
    ],
)
def test_folders_stay_out_of_the_page(value, shown):
    assert without_folders(value) == shown


def test_nothing_leaves_for_rules_and_local_models(tmp_path):
    rules = judge_sent(result({"path": tmp_path / "a", "kind": "rules"}))
    assert rules == "Nothing left this machine: the answers were graded by rules, which are not a language model."
    local = judge_sent(result({"path": tmp_path / "b", "kind": "local", "model": "/models/judge"}))
    assert local == "Nothing left this machine: a local model judged, .../judge."


def test_what_went_to_a_server(tmp_path):
    said = Verdict(1.0, "explanation", "fine", "m", "explanation-1 sha256:0")
    unasked = Verdict(0.0, "correctness", "there is no answer", "nobody", "")
    judge = {"path": tmp_path / "a", "kind": "openai", "base_url": "https://judge.example:8443/v1", "model": "m"}
    text = judge_sent(result({**judge, "send_images": False}, [said, unasked]))
    assert text.startswith(
        "To judge.example:8443, model m: text of the questions and answers, no images; 1 verdicts, asked"
    )
    sent = {"host": "a.example, b.example", "sees_images": True, "requests": 1200, "images": 7, "prompt_tokens": 9}
    counted = judge_sent(result({**judge, "path": tmp_path / "b", **sent}, [said]))
    assert counted == (
        "To a.example, b.example, model m: text of the questions and answers, images too; "
        "1,200 requests, 9 prompt tokens, 7 images."
    )
    here = judge_sent(result({**judge, "path": tmp_path / "c", "host": "127.0.0.1:8000"}))
    assert here.startswith("To 127.0.0.1:8000, on this machine, model m")
    own = judge_sent(result({**judge, "path": tmp_path / "d", "base_url": ""}))
    assert own.startswith("To api.openai.com")


def test_of_a_function_of_ones_own_nothing_is_known(tmp_path):
    text = judge_sent(result({"path": tmp_path / "a", "kind": "function", "judge": "/home/me/judge.py:ask"}))
    assert text == "Judged by .../judge.py:ask, a function of the user's own: what it sends where is not known here."


def test_a_run_tells_its_hashes_seed_and_settings(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    [source] = read_sources([folder.path])
    found = provenance(source)
    assert found.facts["Hash of the configuration"] == folder.config.digest()
    assert found.facts["Seed"] == "0"
    assert found.facts["Rewards' judge"] == "none: rewards are rules, and nothing left this machine for them"
    assert str(tmp_path) not in found.config
    assert 'name = ".../mine.py:load"' in found.config
    assert "torch" in found.packages
    assert found.evaluations["mine.py:load, test"]["Split"] == "test"


def test_rubrics_and_failures_are_counted(tmp_path):
    said = Verdict(1.0, "explanation", "fine", "m", "explanation-1 sha256:0")
    lost = Verdict(None, "correctness", "no reply", "m", "correctness-1 sha256:1", "outage")
    [source] = read_sources([fake_run.make(tmp_path / "source").path])
    odd = result({"path": tmp_path / "run", "kind": "openai", "model": "m"}, [said, lost])
    [facts] = provenance(replace(source, results=[odd])).evaluations.values()
    assert facts["Rubric explanation-1"] == "explanation-1 sha256:0; judge m; 1 asked, 1 verdicts"
    assert facts["Rubric correctness-1"] == "correctness-1 sha256:1; judge m; 1 asked, 0 verdicts"
    assert facts["Verdicts that could not be had"] == "1 outage"


def test_what_is_0_unasked_was_not_asked(tmp_path):
    [source] = read_sources([fake_run.make(tmp_path / "run").path])
    [found] = source.results
    given = [("yes", 1.0), ("no", None), (None, 0.0), ("", 0.0), (None, 0.0)]
    records = [
        fake_run.record(
            i,
            False,
            answer=answer,
            reasoning=answer,
            verdicts={
                axis: Verdict(value, axis, "", "m", f"{axis}-1 sha256:0") for axis in ("correctness", "explanation")
            },
        )
        for i, (answer, value) in enumerate(given)
    ]
    evaluation = Evaluation(records, found.after.summary, {"kind": "openai", "model": "m"})
    [facts] = provenance(replace(source, results=[replace(found, after=evaluation)])).evaluations.values()
    assert facts["Rubric correctness-1"].endswith("; 2 asked, 3 without an answer count as 0, 1 verdicts")
    assert facts["Rubric explanation-1"].endswith("; 2 asked, 3 without reasoning count as 0, 1 verdicts")
    assert facts["Sent for judging"].endswith("2 verdicts, asked for or taken from the cache.")


def test_an_evaluation_alone_tells_what_it_was_made_with(tmp_path):
    [place] = fake_run.make(tmp_path / "run").path.glob("eval/mine*")
    [before] = read_sources([place])
    [facts] = provenance(before).evaluations.values()
    assert (facts["Command"], facts["Commit"]) == ("unknown", "unknown")
    made = {"command": ["rarl", "eval"], "time": "2026-01-02T03:04:05+00:00", "commit": "abc", "packages": {"torch": 2}}
    write_json(place / "environment.json", made)
    summary = read_json(place / "summary.json")
    settings = {"dtype": "float32", "max_vision_tokens": 256, "control": "blank", "samples": 5, "adapter": "/home/me/a"}
    write_json(place / "summary.json", {**summary, "settings": summary["settings"] | settings})
    [source] = read_sources([place])
    found = provenance(source)
    [facts] = found.evaluations.values()
    assert [facts[name] for name in ("Command", "Started", "Commit")] == ["rarl eval", made["time"], "abc"]
    told = [facts[name] for name in ("Dtype", "Max vision tokens", "Control", "Samples", "Adapter")]
    assert told == ["float32", "256", "blank", "5", ".../a"]
    assert (found.facts, found.packages, source.day) == ({}, {"torch": "2"}, "2026-01-02")


def test_within_a_run_what_it_was_made_with_is_told_once(tmp_path):
    [source] = read_sources([fake_run.make(tmp_path / "run").path])
    found = provenance(source)
    assert "Command" in found.facts
    assert not any("Command" in facts for facts in found.evaluations.values())
