import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import rarl
from rarl import cli
from rarl.cli import training
from rarl.environment import VERSION
from rarl.errors import RarlError
from rarl.evaluation import Summary
from rarl.types import Estimate

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command line in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rarl", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def calls(monkeypatch):
    """What the command line calls of the floor below, recorded instead of run."""
    made = []

    def recorder(name, result):
        def record(*arguments, **options):
            made.append((name, arguments, options))
            return result

        return record

    run = SimpleNamespace(folder=Path("runs/x"), results=())
    estimate = Estimate(0.5, 0.4, 0.6, 30, 20)
    summary = Summary({"data": "phantom", "split": "test"}, {"accuracy": estimate}, {}, {})
    prediction = SimpleNamespace(reasoning="It is small.", answer="yes", text="")
    functions = {
        "assembly": {
            "train": run,
            "resume": run,
            "sft": run,
            "evaluate_sets": {Path("e"): summary},
            "predict": prediction,
        },
        "exporting": {"export_merged": Path("merged")},
    }
    for module_name, results in functions.items():
        module = ModuleType(f"rarl.{module_name}")
        for name, result in results.items():
            setattr(module, name, recorder(name, result))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(rarl, module_name, module, raising=False)
    return made


def test_help_names_the_verbs_and_answers_in_half_a_second():
    code = "import sys; from rarl.cli import main; sys.argv = ['rarl', '--help']; main()"
    seconds = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert {"demo", "data", "plan", "train", "sft", "eval", "predict", "report", "export", "bench"} <= set(
        done.stdout.split()
    )
    assert min(seconds) < 0.5  # of processor time, which other work on the machine does not change


def test_help_imports_nothing_heavy():
    code = (
        "import sys, rarl.cli; sys.argv = ['rarl', 'train', '--help']\n"
        "try: rarl.cli.main()\n"
        "except SystemExit: assert not {'torch', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_version(command):
    assert command("--version") == (0, f"rarl {VERSION}\n", "")


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "rarl", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"rarl {VERSION}\n"


def test_train_hands_on_config_overrides_and_folder(command, calls, tmp_path):
    (tmp_path / "mine.toml").write_text('[model]\nbase = "tiny"\n')
    code, out, err = command("train", tmp_path / "mine.toml", "--set", "train.steps=3", "--out", "there")
    assert (code, err) == (0, "")
    assert out == f"Report: {Path('runs/x/report.html')}\n"
    [(name, (config,), options)] = calls
    assert (name, options) == ("train", {"out": Path("there")})
    assert (config.model.base, config.train.steps, config.run.name) == ("tiny", 3, "mine")


def test_plan_tells_what_a_run_needs(command):
    given = ("configs/quickstart.toml", "--set", "train.steps=3", "--memory", "2GB", "--prompt-tokens", 60)
    code, out, err = command("plan", *given)
    assert (code, err) == (0, "")
    assert out.startswith("tiny, float32 on cpu: MB at the peak of each phase")
    assert "of 2.00 GB" in out


def test_plan_of_what_does_not_fit_exits_with_1(command):
    code, out, err = command("plan", "configs/quickstart.toml", "--memory", "100MB", "--prompt-tokens", 60)
    assert (code, err) == (1, "")
    assert "DOES NOT FIT" in out


def test_plan_of_an_arm_of_a_study(command):
    given = ("--memory", "2GB", "--prompt-tokens", 60)
    code, out, err = command("plan", "configs/study-embedded.toml", "--arm", "rarl", *given)
    assert (code, err) == (0, "")
    assert "Fits" in out
    code, out, err = command("plan", "configs/study-embedded.toml", "--arm", "ral", *given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "has no arm 'ral'; did you mean 'rarl'?" in err
    code, out, err = command("plan", "configs/study-embedded.toml", "--arm", "base", *given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "arm base is not trained" in err


@pytest.mark.parametrize("verb", ["plan", "train", "sft"])
def test_a_studys_file_is_no_config_and_the_error_says_what_to_call(command, verb):
    code, out, err = command(verb, "configs/study-embedded.toml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is a study's file: rarl study runs it, and rarl plan --arm plans one of base, " in err


def test_a_memory_that_is_none_is_one_line(command):
    code, out, err = command("plan", "configs/quickstart.toml", "--memory", "40 parsecs")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("rarl: error: --memory '40 parsecs' is no amount of memory")


def test_sft_takes_the_same_options(command, calls, tmp_path):
    (tmp_path / "mine.toml").write_text("")
    assert command("sft", tmp_path / "mine.toml", "--set", "sft.target=rationale")[0] == 0
    [(name, (config,), options)] = calls
    assert (name, config.sft.target, options) == ("sft", "rationale", {"out": None})


def test_resume_takes_the_folder_and_what_may_change(command, calls):
    assert command("train", "--resume", "runs/x")[0] == 0
    assert command("train", "--resume", "runs/x", "--set", "train.steps=3")[0] == 0
    assert calls == [("resume", (Path("runs/x"), given), {}) for given in ((), ["train.steps=3"])]
    for more in (("configs/quickstart.toml",), ("--out", "elsewhere")):
        code, _, err = command("train", "--resume", "runs/x", *more)
        assert code == 2
        assert "leave CONFIG and --out away" in err


def test_the_demo_trains_the_packaged_quickstart_in_a_new_folder(command, calls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo-1").mkdir(parents=True)
    assert command("demo", "--set", "run.seed=2")[0] == 0
    [(name, (config,), options)] = calls
    assert (name, options) == ("train", {"out": Path("runs/demo-2")})
    assert (config.model.base, config.data.name, config.run.seed) == ("tiny", "phantom", 2)
    assert config.run.name == "quickstart"


def test_eval_says_what_it_found_and_where(command, calls):
    words = ["eval", "--base", "tiny", "--data", "phantom", "--split", "test", "--set", "eval.limit=3"]
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    assert out.startswith(f"Records: {Path('e/records.jsonl')}\n")
    assert "50.0 [40.0, 60.0]" in out
    [(name, (base, sets), options)] = calls
    assert (name, base, sets) == ("evaluate_sets", "tiny", [("phantom", "test", "")])
    assert options == {"overrides": ["eval.limit=3"], "adapter": None, "out": None}


@pytest.mark.parametrize(
    ("words", "sets"),
    [
        ("--data a --split x --data b --split y", [("a", "x", ""), ("b", "y", "")]),
        ("--data a --data b --split x", [("a", "x", ""), ("b", "x", "")]),
        ("--data a --split x --split y --root r", [("a", "x", "r"), ("a", "y", "r")]),
        ("--data a --split x --root r --data b --split y --root s", [("a", "x", "r"), ("b", "y", "s")]),
    ],
)
def test_what_belongs_together_in_an_eval_of_several_sets(command, calls, words, sets):
    assert command("eval", "--base", "tiny", *words.split(), "--out", "there")[0] == 0
    [(_, (_, given), options)] = calls
    assert given == sets
    assert options["out"] == Path("there")


def test_predict_shows_reasoning_and_answer(command, calls):
    words = ["a.png", "b.png", "--base", "tiny", "--question", "Which?", "--options", "left, right", "--direct"]
    assert command("predict", *words) == (0, "Reasoning: It is small.\nAnswer: yes\n", "")
    [(name, arguments, options)] = calls
    assert (name, arguments) == ("predict", ("tiny", [Path("a.png"), Path("b.png")], "Which?"))
    assert options == {
        "adapter": None,
        "options": ("left", "right"),
        "reasoning": False,
        "window": None,
        "frame": None,
    }


@pytest.mark.parametrize(("typed", "given"), [("lung", "lung"), ("-600,1500", (-600.0, 1500.0))])
def test_predict_takes_a_window_and_a_frame(command, calls, typed, given):
    command("predict", "ct.dcm", "--base", "tiny", "--question", "Which?", f"--window={typed}", "--frame", "-1")
    [(_, _, options)] = calls
    assert (options["window"], options["frame"]) == (given, -1)


def test_a_window_of_other_words_is_one_line(command, calls):
    code, _, told = command("predict", "ct.dcm", "--base", "tiny", "--question", "Which?", "--window", "a,b")
    assert (code, told.count("\n")) == (2, 1)
    assert "window 'a,b' must be a name, or a centre and a width such as 40,400" in told


def test_export_merges(command, calls):
    words = ["export", "--base", "tiny", "--adapter", "a", "--out", "merged"]
    assert command(*words)[0] == 2
    assert command(*words, "--merge") == (0, "merged\n", "")
    assert calls == [("export_merged", ("tiny", "a", Path("merged")), {})]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "say what to train"),
        (["train", "none.toml"], "none.toml does not exist"),
        (["train", "configs/quickstart.toml", "--set", "train.stpes=3"], "did you mean 'steps'"),
        (["train", "configs/quickstart.toml", "--set", "rollout.group_size=1"], "rollout.group_size"),
        (
            ["eval", "--base", "b", "--data", "phantom", "--split", "test", "--set", "eval.limt=3"],
            "did you mean 'limit'",
        ),
        (["report", "none"], "is no run folder"),
        (["report", "none", "--set", "train.steps=3"], "--set train.steps=3: a report takes report.images alone"),
        (["report", "none", "--set", "report.imags=false"], "did you mean 'images'"),
        (["data", "show", "phantm", "--split", "test"], "unknown data set 'phantm'; did you mean 'phantom'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(command, words, message, monkeypatch):
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith("rarl: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_an_error_brings_its_own_exit_code(command, monkeypatch):
    class GuardError(RarlError):
        exit_code = 3

    def fail():
        raise GuardError("stopped: the loss is not a number")

    monkeypatch.setattr(cli, "app", fail)
    assert command("train") == (3, "", "rarl: error: stopped: the loss is not a number\n")


def test_an_interrupt_is_130(command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "load_config", interrupt)
    assert command("sft", "x.toml") == (130, "", "")


STOPPED = """
import atexit, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs these tests may have it ignored
from rarl import cli
from rarl.cli import training
def say(word, seconds):
    print(word, flush=True)
    time.sleep(seconds)
atexit.register(say, "leaving", 1)
training.load_config = lambda *_: say("loading", 30)
sys.argv = ["rarl", "train", "x.toml"]
cli.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_before_anything_has_begun_is_one_line_and_a_second_one_changes_nothing(number, code):
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        assert process.stdout.readline() == "leaving\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, f"rarl: stopped by {number.name}; run the same command again\n")


def test_a_usage_error_is_plain_and_exit_code_2(command):
    code, out, err = command("tain")
    assert (code, out) == (2, "")
    assert "No such command 'tain'" in err
    assert "╭" not in err


def test_data_list(command):
    _, out, _ = command("data", "list")
    assert {"phantom", "vqa-rad", "slake", "pathvqa", "vqa-med-2019", "medxpertqa-mm"} <= set(out.split())
    assert max(map(len, out.splitlines())) <= 80
    known = json.loads(command("data", "list", "--json")[1])
    assert known["slake"]["questions"] == {"train": 4919, "validation": 1053, "test": 1061}


ROW = {"question": "Is there an effusion?", "gold": "yes", "options": None}


def write_rows(path, *rows):
    path.write_text("".join(json.dumps({**ROW, **row}) + "\n" for row in rows))
    return path


def test_grade_writes_rows_and_says_how_many_are_right(command, tmp_path):
    source = write_rows(tmp_path / "a.jsonl", {"prediction": "Yes."}, {"prediction": "no", "id": 7})
    code, out, _ = command("grade", source, "-o", tmp_path / "b.jsonl")
    assert code == 0
    assert "50.0%" in out
    graded = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in graded] == [True, False]
    assert graded[1]["id"] == 7
    code, _, err = command("grade", source, "-o", tmp_path / "b.jsonl")
    assert code == 2
    assert "exists" in err


def test_score_tells_every_part_and_the_total(command, tmp_path):
    right = "<think> Fluid blunts the left costophrenic angle. </think> <answer> yes </answer>"
    source = write_rows(tmp_path / "a.jsonl", {"completion": right}, {"completion": "yes"})
    code, out, _ = command("score", source, "-o", tmp_path / "b.jsonl", "--set", "reward.weights.accuracy=2")
    assert code == 0
    assert "2 completions" in out
    first, second = (json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines())
    assert first["parts"]["accuracy"] == 1.0
    assert first["total"] > 2.0 > second["total"]


def test_probe_fails_where_a_way_of_gaming_pays(command, tmp_path):
    code, out, _ = command("probe", ROOT / "configs" / "quickstart.toml")
    assert code == 0
    assert "0 of " in out
    (tmp_path / "my.py").write_text(
        "def long(completions, **_):\n    return [len(c[0]['content']) / 200 for c in completions]\n"
    )
    extra = f'reward.extra=["{tmp_path}/my.py:long"]'
    code, out, _ = command(
        "probe", ROOT / "configs" / "quickstart.toml", "--set", extra, "--set", "reward.weights.long=5"
    )
    assert code == 1
    assert "long" in out
