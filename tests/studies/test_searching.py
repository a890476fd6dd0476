import json

import pytest

from rarl.evaluation import read_records
from rarl.runlog import RunFolder
from rarl.studies import load_study, run_study
from rarl.studies.jobs import Trial
from rarl.studies.searching import chosen, trials
from small_study import COMMON, TOML, write

SEARCHED = f"""
seeds = [3]
shapes = ["direct"]
metrics = ["accuracy"]

[search]
key = "train.lr"
values = [1e-9, 2e-2]
seeds = [100]
{COMMON}
[arms.sft]
title = "SFT"
native = "direct"
config.run.method = "sft"
[arms.early]
title = "SFT, stopped early"
like = "sft"
group = "Others"
early_stop = true

[sets.home]
title = "in domain"
role = "in-domain"
split = "test"

[[claims]]
says = "stopping early helps"
sets = ["home"]
contrasts = [{{ arm = "early", against = "sft", shape = "direct", against_shape = "direct" }}]
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return run_study(write(folder, SEARCHED), out=folder / "out", workers=2)


def test_the_search_uses_validation_data_of_its_own_seeds(done):
    for value in ("1e-09", "0.02"):
        folder = done.folder / "search" / "sft" / value / "seed-100"
        asked = {record.id for record in read_records(folder / "validation")}
        assert {name.rsplit("-", 1)[0] for name in asked} == {"phantom-validation-100"}
        assert RunFolder.open(folder / "run").config.train.lr == float(value)
    assert not (done.folder / "search" / "early").exists(), "a variant takes over what was found for its arm"


def test_what_was_found_is_what_the_arms_train_with(done):
    found = json.loads((done.folder / "search.json").read_text())
    means = {float(value): mean for value, mean in found["arms"]["sft"]["means"].items()}
    best = max(means, key=means.get)
    assert found["arms"]["sft"]["chosen"] == best
    for arm in ("sft", "early"):
        run = RunFolder.open(done.folder / "arms" / arm / "seed-3" / "run")
        assert run.config.train.lr == best


def test_an_arm_that_stops_early_answers_with_its_best_checkpoint(done):
    folder = done.folder / "arms" / "early" / "seed-3"
    stopped = json.loads((folder / "early-stop.json").read_text())
    assert sorted(stopped["means"]) == ["1", "2"]
    assert stopped["means"][str(stopped["step"])] == max(stopped["means"].values())
    settings = json.loads((folder / "home-direct" / "settings.json").read_text())
    assert f"step-{stopped['step']:06d}" in json.dumps(settings)


def test_the_page_tells_what_was_searched_and_where_it_stopped(done):
    page = (done.folder / "results.md").read_text()
    assert "train.lr" in page
    assert "stopped early" in page
    html = (done.folder / "results.html").read_text()
    assert html.count("<strong>Others</strong>") == 1, "its curves stand apart"
    assert html.index('<h2 id="learning-title"') < html.index("<strong>Others</strong>")


def test_without_a_search_nothing_is_tried(tmp_path):
    study = load_study(write(tmp_path))
    assert trials(study, ()) == []
    assert chosen(study, tmp_path, ()) == {}
    assert not (tmp_path / "search.json").exists()


def test_every_arm_gets_as_many_trials_and_the_first_of_equals_is_taken(tmp_path):
    text = TOML + '\n[search]\nkey = "train.lr"\nvalues = [1e-3, 2e-3, 4e-3]\nseeds = [100, 101]\n'
    study = load_study(write(tmp_path, text))
    tried = trials(study, skipped={"sft"})
    assert len(tried) == len(set(tried)) == 6
    assert {trial.arm for trial in tried} == {"rl"}, "the base is not trained"
    means = {(1e-3, 100): 0.5, (1e-3, 101): 0.75, (2e-3, 100): 0.25, (2e-3, 101): 1.0}
    means |= {(4e-3, 100): 0.9, (4e-3, 101): 0.1}
    for (value, seed), mean in means.items():
        folder = Trial("rl", seed, value).folder(tmp_path)
        folder.mkdir(parents=True)
        (folder / "tried.json").write_text(json.dumps({"mean": mean}))
    assert chosen(study, tmp_path, tried) == {"rl": 1e-3}
    assert study.with_found({"rl": 1e-3}).config("rl", 3).train.lr == 1e-3
