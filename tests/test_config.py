import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.config import RunConfig
from rarl.errors import ConfigError


def written(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    config = RunConfig.load(written(tmp_path, '[model]\nbase = "tiny"\n[train]\nlr = 2e-3\n'))
    assert config.model.base == "tiny"
    assert config.train.lr == 0.002
    assert config.train.steps == RunConfig().train.steps
    assert config.run.name == "mine"


def test_overrides_come_after_the_file(tmp_path):
    path = written(tmp_path, "[train]\nsteps = 5\n[run]\nname = 'given'\n")
    config = RunConfig.load(
        path, ["train.steps=7", "data.root=/x y", "prompt.diversity=false", "reward.weights.format=0"]
    )
    assert config.train.steps == 7
    assert config.data.root == "/x y"
    assert config.prompt.diversity is False
    assert config.reward.weights == {**RunConfig().reward.weights, "format": 0}
    assert config.run.name == "given"


def test_lists_and_texts_in_an_override():
    config = RunConfig().override(['eval.splits=["test", "shifted"]', 'model.base="a=b"', "data.options={pixels=112}"])
    assert config.eval.splits == ("test", "shifted")
    assert config.model.base == "a=b"
    assert config.data.options == {"pixels": 112}


@pytest.mark.parametrize("value", ["true", "false", '["blank", "question_only"]', "[]"])
def test_baselines_are_yes_no_or_which_and_survive_a_file(value, tmp_path):
    config = RunConfig().override([f"eval.baselines={value}", "eval.control=blank"])
    assert RunConfig.load(written(tmp_path, config.to_toml())).eval == config.eval


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stpes=5", "unknown key 'train.stpes'; did you mean 'steps'"),
        ("trian.steps=5", "unknown key 'trian'; did you mean 'train'"),
        ("train.steps=0", "train.steps: .*greater than or equal to 1.*got 0"),
        ("train.steps=many", "train.steps: .*got 'many'"),
        ("rollout.group_size=1", "rollout.group_size: .*greater than or equal to 2"),
        ("train.loss=ppo", "train.loss: .*'grpo', 'dapo', 'dr_grpo', 'gspo' or 'cispo'"),
        ("train.lr=0", "train.lr: .*greater than 0"),
        ("train.lr=inf", "train.lr: .*finite"),
        ("reward.weights.accuracy=nan", "reward.weights.accuracy: .*finite"),
        ("eval.control=black", "eval.control: .*'none', 'blank', 'swapped' or 'question_only'"),
        ("data.on_error=ignore", "data.on_error: .*'raise' or 'skip'"),
        ("train.steps", "must look like section.key=value"),
        ("=5", "must look like section.key=value"),
        ("train.steps.x=5", "steps is a value, not a section"),
        ("train=5", "train: "),
        ("reward.weights.format=-1", "reward.weights.format must be at least 0"),
        ("reward.weights={accuracy=0.0}", "no positive weight"),
        ("reward.gates={accuracy=['x']}", "reward.gates names 'x'"),
    ],
)
def test_a_bad_override_names_the_key_and_the_remedy(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        RunConfig().override([override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train\n", "is not a TOML file"),
        ("[train]\nsteps = 'many'\n", r"mine\.toml: train.steps: "),
        ("[training]\n", r"mine\.toml: unknown key 'training'; did you mean 'train'"),
        ("steps = 5\n", r"unknown key 'steps'.* Allowed here: run, model, lora"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.load(written(tmp_path, text))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml does not exist"):
        RunConfig.load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is not a TOML file"):
        RunConfig.load(tmp_path)


def test_what_is_written_loads_as_the_same(tmp_path):
    overrides = ["run.name=x", "data.limit=3", "eval.splits=['a','b']", "reward.extra=['my.py:f']", "train.lr=3.3e-7"]
    config = RunConfig().override(overrides)
    assert RunConfig.load(written(tmp_path, config.to_toml())) == config


@given(
    st.builds(
        dict,
        seed=st.integers(0, 2**31),
        name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
        out=st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    ),
    st.floats(min_value=1e-12, max_value=1e3),
)
def test_any_config_survives_being_written(run, lr):
    config = RunConfig.model_validate({"run": run, "train": {"lr": lr}})
    assert RunConfig.model_validate(tomllib.loads(config.to_toml())) == config


KEYS = [f"{section}.{key}" for section, keys in RunConfig().model_dump().items() for key in keys]
VALUES = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.sampled_from(["{}", "[[1]]"]))


@given(st.one_of(st.text(max_size=12), st.sampled_from(KEYS)), st.sampled_from(["", ".x", ".x.y"]), VALUES)
def test_any_override_is_a_config_or_one_line_of_error(key, below, value):
    message = ""
    try:
        RunConfig().override([f"{key}{below}={value}"])
    except ConfigError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1


def test_the_digest_is_of_what_decides_the_result():
    config = RunConfig()
    assert config.digest() == config.override(["run.name=other", "run.out=elsewhere"]).digest()
    assert config.digest() != config.override(["run.seed=1"]).digest()
    assert config.digest() != config.override(["reward.weights.format=0.3"]).digest()


def test_sections_cannot_be_changed_in_place():
    from pydantic import ValidationError

    config = RunConfig()
    with pytest.raises(ValidationError):
        config.train.steps = 3


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbf[train]\nsteps = 5\n")
    assert RunConfig.load(tmp_path / "mine.toml").train.steps == 5


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, "[train]\nsteps = " + "9" * 5000])
def test_what_the_parser_cannot_hold_is_an_error(tmp_path, text):
    with pytest.raises(ConfigError, match="is not a TOML file"):
        RunConfig.load(written(tmp_path, text))


def test_a_path_that_cannot_be_opened_is_an_error(tmp_path):
    path = tmp_path / "loop.toml"
    path.symlink_to(path)
    for bad in (path, tmp_path / ("x" * 300), written(tmp_path, "") / "below.toml"):
        with pytest.raises(ConfigError, match="is not a TOML file"):
            RunConfig.load(bad)


@pytest.mark.parametrize("key", ["split", "limit", "seed", "root", "without"])
def test_an_option_with_a_key_of_its_own_is_refused(key):
    with pytest.raises(ConfigError, match=f"data.options cannot hold '{key}'"):
        RunConfig().override([f"data.options.{key}=1"])


@pytest.mark.parametrize("url", ["http://h/v1?api_key=sk-mark", "http://h/v1#sk-mark", "http://sk-mark@h/v1"])
def test_an_address_with_a_key_in_it_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError, match="must not hold a user, a password or a query; the key is read") as caught:
        RunConfig().override([f"judge.base_url={url}"])
    assert "sk-mark" not in str(caught.value)


@pytest.mark.parametrize("key", ["token", "HF_TOKEN", "api_key", "apikey", "db-password", "client_secret"])
@pytest.mark.parametrize("where", ["data.options", "data.without.options"])
def test_a_secret_among_a_loaders_options_is_refused_without_repeating_it(key, where):
    with pytest.raises(ConfigError, match=f"{key} would be written into the run's folder") as caught:
        RunConfig().override(['data.without.name="slake"', f"{where}.{key}=sk-mark"])
    assert "sk-mark" not in str(caught.value)
    RunConfig().override(["data.options={tokens=3, keys='a', tokenizer='b', secretary='c'}"])


def test_a_wrong_key_of_a_section_that_may_be_absent_is_named():
    with pytest.raises(
        ConfigError, match=r"unknown key 'data\.without\.nane'; did you mean 'name'\? Allowed here: name, split"
    ):
        RunConfig().override(['data.without={nane="slake"}'])
