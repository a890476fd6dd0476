import pytest

from rarl.errors import ConfigError
from rarl.studies import load_study
from rarl.studies.design import Cell
from rarl.studies.frozen import fingerprints, require_frozen
from small_study import TOML, write


def test_an_arm_is_what_all_share_and_what_is_its_own(tmp_path):
    study = load_study(write(tmp_path))
    assert study.name == "small"
    config = study.config("rl", 4)
    assert (config.run.seed, config.model.base, config.train.steps) == (4, "tiny", 2)
    assert config.reward.weights == {"format": 0.1, "accuracy": 1.0}, "weights are replaced as a whole"
    assert config.reward.gates == {}
    assert not config.prompt.diversity
    assert not config.eval.enabled, "the study evaluates, not the run"
    assert study.config("sft", 4).run.method == "sft"
    assert "grounding" in study.config("sft", 4).reward.weights, "one arm's settings are not another's"


def test_a_cell_asks_the_sets_questions_in_its_shape(tmp_path):
    study = load_study(write(tmp_path))
    config = study.evaluation("rl", 3, Cell("away", "direct"), "some/adapter")
    assert (config.data.name, config.data.split, config.run.seed) == ("phantom", "unseen-wording", 3)
    assert (config.eval.shape, config.eval.limit, config.eval.enabled) == ("direct", 6, True)
    assert config.model.adapter == "some/adapter"
    assert [cell.folder for cell in study.cells] == ["home-think", "home-direct", "away-think", "away-direct"]


def test_a_set_of_another_data_set_leaves_the_training_sets_files_and_options(tmp_path):
    text = TOML.replace("[common.data]\n", '[common.data]\nroot = "here"\noptions = { pixels = 84 }\n')
    text = text.replace('split = "unseen-wording"', 'data = "vqa-rad"\nsplit = "test"\nroot = "there"')
    study = load_study(write(tmp_path, text))
    other, own = (study.evaluation("rl", 3, Cell(name, "think"), "").data for name in ("away", "home"))
    assert (other.name, other.root, other.options) == ("vqa-rad", "there", {})
    assert (own.name, own.root, own.options) == ("phantom", "here", {"pixels": 84})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("seeds = [3, 4]", "seeds = [3, 3]", "seeds holds one twice"),
        ("seeds = [3, 4]", "seeds = []", "seeds"),
        ("seeds = [3, 4]", "", "small.toml: seeds is missing"),
        ('{ arm = "rl", against = "sft" }', '{ arm = "rll", against = "sft" }', "unknown arm 'rll'; did you mean 'rl'"),
        ('{ arm = "rl", against = "sft" }', '{ arm = "rl", against = "rl" }', "claim 1: rl is compared with itself"),
        ('sets = ["away"]', 'sets = ["awy"]', "unknown set 'awy'; did you mean 'away'"),
        ('sets = ["away"]', "", "sets is empty"),
        ('endpoint = "tokens"', 'endpoint = "token"', "unknown endpoint 'token'; did you mean 'tokens'"),
        ('endpoint = "tokens"\nmeasure = "relative"', 'endpoint = "tokens"', "relative"),
        ('endpoint = "tokens"', 'endpoint = "tokens"\nsets = ["away"]', "cost of training"),
        ('metrics = ["accuracy", "reasoning"]', 'metrics = ["acuracy"]', "did you mean 'accuracy'"),
        ('metrics = ["accuracy", "reasoning"]', "metrics = []", "metrics: Tuple should have at least 1 item"),
        ("steps = 2", "stpes = 2", "arm base: unknown key 'train.stpes'; did you mean 'steps'"),
        ("[sets.home]", '[sets."../home"]', "names a folder"),
        ('shapes = ["think", "direct"]', 'shapes = ["direct"]', "shape 'think' is not among shapes"),
        ('title = "RL"', 'titel = "RL"', "unknown key 'arms.rl.titel'; did you mean 'title'? Allowed here: title,"),
        ("against = ", "agianst = ", "unknown key 'claims.0.contrasts.0.agianst'; did you mean 'against'?"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, old, new, told):
    assert old in TOML
    with pytest.raises(ConfigError) as error:
        load_study(write(tmp_path, TOML.replace(old, new)))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_study_extends_another_file_and_that_a_third(tmp_path):
    write(tmp_path)
    write(tmp_path, 'extends = "small.toml"\nseeds = [7]\n', "middle.toml")
    last = write(tmp_path, 'extends = "middle.toml"\n[common.train]\nsteps = 9\n', "last.toml")
    study = load_study(last)
    assert (study.name, study.seeds, study.config("rl", 7).train.steps) == ("last", (7,), 9)
    assert study.arms == load_study(write(tmp_path)).arms
    with pytest.raises(ConfigError, match=r"gone.toml does not exist; it is what .*last.toml extends"):
        load_study(write(tmp_path, 'extends = "gone.toml"\n', "last.toml"))
    with pytest.raises(ConfigError, match="extends itself"):
        load_study(write(tmp_path, 'extends = "last.toml"\n', "last.toml"))


def test_an_arm_like_another_is_that_one_but_for_what_it_says(tmp_path):
    text = (
        TOML
        + """
[arms.rl-less]
title = "RL on less"
like = "rl"
config.data.limit = 4
[arms.rl-least]
title = "RL on the least"
like = "rl-less"
config.data.limit = 2
config.reward.weights = { accuracy = 1.0 }
"""
    )
    study = load_study(write(tmp_path, text))
    least, rl = study.config("rl-least", 3), study.config("rl", 3)
    assert (least.data.limit, rl.data.limit) == (2, 8)
    assert least.prompt == rl.prompt
    assert least.reward.weights == {"accuracy": 1.0}
    assert study.root("rl-least") == "rl"
    with pytest.raises(ConfigError, match="arm rl-less: like names 'later', which is no arm above it"):
        load_study(write(tmp_path, text.replace('like = "rl"', 'like = "later"')))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[search]\nkey = "train.lr"\nvalues = [1e-3, 2e-3]\nseeds = [3]\n', "a seed of the study's is among them"),
        ('[search]\nkey = "train.lr"\nvalues = [1e-3]\nseeds = [100]\n', "search.values"),
        ('[search]\nkey = "train.lrate"\nvalues = [1e-3, 2e-3]\nseeds = [9]\n', "unknown key 'train.lrate'"),
        ('[search]\nkey = "lora.r"\nvalues = [0.5, 8]\nseeds = [9]\n', "lora.r"),
        ('[search]\nkey = "train.lr"\nvalues = [1e-3, 1.0000001e-3]\nseeds = [9]\n', "the same to six digits"),
        ('[validation]\nsplit = "test"\n', "test is a set of the study's as well"),
        ('[validation]\nmetric = "acuracy"\n', "did you mean 'accuracy'"),
    ],
)
def test_what_is_wrong_with_a_search(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told):
        load_study(write(tmp_path, TOML + text))


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_study(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not a TOML file"):
        load_study(write(tmp_path, "a = ["))


def test_the_frozen_copy_is_the_same_study(tmp_path):
    study = load_study(write(tmp_path))
    again = load_study(write(tmp_path, study.to_toml(), "again.toml"))
    assert again.digest() == study.digest()
    assert load_study(write(tmp_path, TOML.replace("steps = 2", "steps = 3"))).digest() != study.digest()


def test_another_checkpoint_than_the_frozen_one_is_refused(tmp_path):
    study = load_study(write(tmp_path))
    found = fingerprints(study)
    lines = "\n".join(f'{name} = "{value}"' for name, value in found.items())
    require_frozen(load_study(write(tmp_path, f"{TOML}\n[frozen]\n{lines}\n")))
    for name in found:
        with pytest.raises(ConfigError, match=f"frozen.{name} is 0123"):
            require_frozen(load_study(write(tmp_path, f'{TOML}\n[frozen]\n{name} = "0123"\n')))
