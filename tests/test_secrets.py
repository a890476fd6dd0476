"""No key that is in the environment gets into a file, or onto the screen, though a server repeats it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import judge_server as fake
from rarl import cli

MARKS = {"OPENAI_API_KEY": "sk-mark-1", "HF_TOKEN": "hf_mark_2", "WANDB_API_KEY": "mark3" * 8}
SMALL = [
    "judge.kind=openai",
    "judge.model=m",
    "judge.retries=0",
    "judge.max_unscored=1",
    "eval.limit=4",
    "eval.baselines=false",
    "rollout.max_new_tokens=56",
]
STRICT = ["judge.cache=off", "judge.max_unscored=0.1"]
SHORT = ["rollout.group_size=2", "rollout.prompts_per_step=2", "data.limit=4", "train.steps=1", "reward.probe=off"]


def repeats(status: int) -> fake.Act:
    """An error whose body has all that was asked, headers too."""

    def act(handler: fake.Handler, asked: fake.Asked) -> None:
        fake.fails(status, f"you sent {json.dumps(asked.headers)}")(handler, asked)

    return act


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs a command line with a home of its own and all keys set; its exit code."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name, mark in MARKS.items():
        monkeypatch.setenv(name, mark)

    def run(*words: str, settings: list[str]) -> int:
        sets = [word for setting in settings for word in ("--set", setting)]
        monkeypatch.setattr(sys, "argv", ["rarl", *words, *sets])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0)

    return run


def test_keys_of_the_environment_are_nowhere(
    command: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe, run, adapter = tmp_path / "mine.toml", tmp_path / "run", str(tmp_path / "run" / "adapter")
    recipe.write_text('[model]\nbase = "tiny"\n')
    with fake.running() as server:
        judged = [*SMALL, f"judge.base_url={server.url}"]
        asking = ["--base", "tiny", "--adapter", adapter, "--data", "phantom", "--split", "test", "--out"]
        server.look = repeats(401)
        assert command("train", str(recipe), "--out", str(run), settings=[*judged, *SHORT]) == 2, "the key is wrong"
        server.look = fake.gives({"object": "list", "data": []})
        server.script = [fake.says(fake.GOOD), repeats(500), repeats(400), repeats(401)]
        assert command("train", str(recipe), "--out", str(run), settings=[*judged, *SHORT]) == 0
        server.act = repeats(401)  # before it has answered anything
        assert command("eval", *asking, str(tmp_path / "eval"), settings=[*judged, *STRICT]) == 2
        assert command("report", str(run), settings=[]) == 0
    assert all(asked.headers["authorization"] == f"Bearer {MARKS['OPENAI_API_KEY']}" for asked in server.asked)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert sum(b"Bearer [OPENAI_API_KEY]" in content for content in files.values()), "what it repeated was kept"
    out, err = capfd.readouterr()
    assert "can't be asked" in err
    for mark in MARKS.values():
        assert mark not in out + err + caplog.text
        assert [str(path) for path, content in files.items() if mark.encode() in content] == []
