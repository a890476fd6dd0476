"""Inputs damaged at random: each is used as if nothing was wrong with it, or is an error of one line.

python tests/fuzzing.py OUT.json --cases 450      # so many of each kind
"""

import argparse
import json
import platform
import shutil
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import fake_run
import fake_training
from rarl.config import RunConfig
from rarl.errors import RarlError
from rarl.files import write_json
from rarl.grading import grade_file
from rarl.prompting import load_pool
from rarl.reporting.sources import read_sources
from rarl.resuming import is_finished, starting_point
from rarl.rewards import Scorer, score_file

TOML = RunConfig().override(["model.base=tiny", "data.options={pixels=112}", "reward.extra=['a.py:f']"]).to_toml()
KEYS = [f"{section}.{key}" for section, keys in RunConfig().model_dump().items() for key in keys]
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["", "{}", "[]", "[[1]]", "{a={b=[]}}", "''", "true", "1979-05-27", "[1, 'a']", "\ud800", "\0"]),
)
ROW = {
    "question": "Which side is the effusion on?",
    "gold": "left",
    "prediction": "the left",
    "completion": "<think> Fluid on the left. </think> <answer> left </answer>",
    "options": ["left", "right"],
    "facts": [{"name": "side", "value": "left", "alternatives": ["sinister"]}],
    "rationale": "Fluid.",
}
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


def damage(data, content):
    """The bytes with some flipped, cut, doubled or put in."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3), "harms")):
        place = data.draw(st.integers(0, max(0, len(content) - 1)), "at")
        harm = data.draw(st.sampled_from(["flip", "cut", "put in", "double", "take out"]), "harm")
        if harm == "flip" and content:
            content[place] ^= data.draw(st.integers(1, 255), "bits")
        elif harm == "cut":
            del content[place:]
        elif harm == "put in":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=8), "bytes")
        elif harm == "double":
            content[place:place] = content[place : place + 200]
        else:
            del content[place : place + 20]
    return bytes(content)


def harm_folder(data, folder):
    """One file or folder in it cut, changed, missing, swapped for another, or a folder or a link in its place."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(paths), "path")
    harm = data.draw(st.sampled_from(["bytes", "bytes", "missing", "swap", "folder", "loop", "dangling"]), "harm")
    if harm == "bytes":
        path.write_bytes(damage(data, path.read_bytes()))
        return
    content = data.draw(st.sampled_from(paths), "other").read_bytes()
    path.unlink()
    if harm == "swap":
        path.write_bytes(content)
    elif harm == "folder":
        path.mkdir()
    elif harm != "missing":
        path.symlink_to(path if harm == "loop" else folder / "nowhere")


def one_line(work):
    """What the work gives, None for an error that is as it should be; anything else is a finding."""
    try:
        return work()
    except RarlError as error:
        told = str(error)
    assert len(told.splitlines()) == 1, f"more than a line: {told!r}"
    return None


def config_file(data, tmp):
    path = tmp / "mine.toml"
    path.write_bytes(damage(data, TOML.encode()))
    config = one_line(lambda: RunConfig.load(path))
    if config:
        path.write_text(config.to_toml(), encoding="utf-8")
        assert RunConfig.load(path) == config, "it is another one when it was written down"


def override(data, tmp):
    key = data.draw(st.sampled_from(KEYS) | st.text(max_size=12), "key")
    below = data.draw(st.sampled_from(["", ".x", ".x.y", "."]), "below")
    one_line(lambda: RunConfig().override([f"{key}{below}={data.draw(VALUES, 'value')}"]))


def rows(data, tmp):
    """A file of rows with wrong values, or damaged."""
    found = [dict(ROW, id=number) for number in range(3)]
    for _ in range(data.draw(st.integers(0, 2), "changes")):
        row = data.draw(st.sampled_from(found), "row")
        row[data.draw(st.sampled_from([*ROW, "kind", "shape", "id", "total"]), "field")] = data.draw(JSON, "value")
    content = "".join(json.dumps(row) + "\n" for row in found).encode()
    path = tmp / "rows.jsonl"
    path.write_bytes(damage(data, content) if data.draw(st.booleans(), "damaged") else content)
    return path


def graded(data, tmp):
    source, out = rows(data, tmp), tmp / "out.jsonl"
    if one_line(lambda: grade_file(source, out)) is None:
        assert not out.exists(), "half of it was written"


def scored(data, tmp):
    source, out = rows(data, tmp), tmp / "out.jsonl"
    config = RunConfig()
    if one_line(lambda: score_file(source, out, Scorer.of(config, None), load_pool("default"))) is None:
        assert not out.exists(), "half of it was written"


def make_run(path):
    """A run's folder with logs of three steps, evaluations and two checkpoints."""
    run = fake_run.make(path)
    fake_training.rollouts(run, steps=3)
    fake_training.timings(run, steps=3)
    for step in (2, 3):
        with run.checkpoints.write(step) as aside:
            (aside / "weights").write_bytes(bytes(range(256)) * 4)
            write_json(aside / "state.json", {"step": step, "pending": None, "config": run.config.fixed()})
    write_json(run.path / "adapter" / "run_card.json", {"steps": 3})
    return run


def resumed(data, tmp):
    """Going on as `rarl train --resume` does: never from what is not what was written."""
    run = make_run(tmp / "runs" / "run")
    shutil.rmtree(run.adapter)
    state = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    harm_folder(data, run.path)

    def go_on():
        config = run.config
        is_finished(run, config)
        start = starting_point(run, config)
        if start:
            logged = json.loads(state[start.path / "logged.json"])
            run.truncate_after(start.step, logged=logged)
        return start

    start = one_line(go_on)
    if start:
        whole = [path for path in state if path.is_relative_to(start.path)]
        assert all(path.read_bytes() == state[path] for path in whole), "a damaged checkpoint was taken"
        for name in ("metrics.jsonl", "rollouts.jsonl"):
            kept = (run.path / name).read_bytes()
            assert state[run.path / name].startswith(kept), f"{name} is another one"
            assert kept.count(b"\n") == json.loads(state[start.path / "logged.json"])[name]["rows"]


def reported(data, tmp):
    run = make_run(tmp / "runs" / "run")
    harm_folder(data, run.path)

    def read():
        for source in read_sources([run.path]):
            return source.rollouts, source.environment, source.probe, source.unfinished, source.packages

    one_line(read)
    one_line(lambda: is_finished(run, run.config))


KINDS = {each.__name__: each for each in (config_file, override, graded, scored, resumed, reported)}


def fuzz(kind, cases, *, seeded=False):
    """So many cases of a kind; the first finding is raised, as small as it gets. `seeded`: the same ones each time."""

    @settings(
        max_examples=cases,
        deadline=None,
        derandomize=seeded,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.data())
    def run(data):
        with tempfile.TemporaryDirectory() as folder:
            KINDS[kind](data, Path(folder))

    run()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=450)
    given_ = parser.parse_args()
    start, seconds = time.perf_counter(), {}
    for kind in KINDS:
        before = time.perf_counter()
        fuzz(kind, given_.cases)
        seconds[kind] = round(time.perf_counter() - before, 1)
        print(kind, seconds[kind], flush=True)
    result = {
        "command": f"python tests/fuzzing.py OUT.json --cases {given_.cases}",
        "cases": dict.fromkeys(KINDS, given_.cases),
        "total": given_.cases * len(KINDS),
        "seconds": {**seconds, "all": round(time.perf_counter() - start, 1)},
        "findings": [],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("hypothesis", "pydantic", "torch")},
    }
    given_.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
