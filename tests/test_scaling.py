"""benchmarks/scaling.py: which points it measures, what it says of their growth, and that it draws them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def found(monkeypatch):
    """What is measured where a phase costs a second and a thousandth of each token."""
    import scaling

    ran = []

    def run(job):
        ran.append((job.side, job.case))
        if job.side == "build":
            return {}
        tokens = job.case.vision_tokens + job.case.group_size * job.case.new_tokens
        seconds = dict.fromkeys(scaling.PHASES, 1 + tokens / 1000)
        clock = {**seconds, "step": sum(seconds.values()), "other": 0.0}
        sizes = {"peak_over_baseline_bytes": 1000 * tokens, "baseline_bytes": 5, "prompt_tokens": [9], "lm_tokens": 9.0}
        return {"cpu_seconds": clock, "wall_seconds": {}, "device": "cpu", **sizes}

    monkeypatch.setattr(scaling.Job, "run", run)
    return scaling.measure(replace(scaling.USUAL, model="tiny", steps=2)), ran


def test_each_point_is_measured_once(found):
    result, ran = found
    assert [side for side, _ in ran] == ["build"] + ["rarl"] * 10
    assert len({case for _, case in ran}) == 10  # the usual one is built, measured once, and in all three sweeps
    sweeps = {sweep: [row["value"] for row in rows] for sweep, rows in result["sweeps"].items()}
    assert sweeps == {
        "group_size": [2, 4, 8, 16],
        "vision_tokens": [64, 144, 256, 576],
        "new_tokens": [16, 32, 64, 128],
    }
    steps = {rows[2]["seconds"]["step"] for rows in result["sweeps"].values()}
    assert steps == {5 * (1 + (256 + 8 * 64) / 1000)}
    assert (result["clock"], result["steps"], result["model"]) == ("cpu_seconds", 2, "tiny")


def test_growth_in_numbers():
    from scaling import exponent, off_line

    sizes = [1, 2, 4, 8]
    assert exponent(sizes, [3, 6, 12, 24]) == pytest.approx(1)
    assert exponent(sizes, [1, 4, 16, 64]) == pytest.approx(2)
    assert off_line(sizes, [5, 7, 11, 19]) == pytest.approx(0, abs=1e-12)
    assert off_line([0, 1, 2], [0, 1, 4]) == pytest.approx(1 / 6)  # 2 x - 1/3 is 2/3 off at 1, of 4


def test_what_was_measured_is_drawn_again(found, tmp_path, capsys):
    import scaling

    file, figure = tmp_path / "scaling.json", tmp_path / "scaling.png"
    file.write_text(json.dumps(found[0]))
    scaling.main(["--from", str(file), "--figure", str(figure)])
    assert figure.read_bytes().startswith(b"\x89PNG")
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("completions a group, G: step 6.92 to 11.4 s, exponent 0.2")
    assert "0% off a straight line" in line
