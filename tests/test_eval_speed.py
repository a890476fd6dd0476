"""benchmarks/eval_speed.py: that it measures evaluations of different batches."""

import json
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_it_measures_each_batch(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import eval_speed

    eval_speed.main(["--examples", "4", "--batches", "1", "4", "--out", str(tmp_path / "speed.json")])
    rows = json.loads((tmp_path / "speed.json").read_text())["batches"]
    assert [row["prompts"] for row in rows] == [1, 4]
    assert rows[0]["times_one_by_one"] == 1.0
    assert all(row["examples_a_second"] * row["seconds"] - 4 < 1e-6 for row in rows)
    assert len(capsys.readouterr().out.splitlines()) == 2
