"""Every shipped recipe loads, and names what there is."""

from pathlib import Path

import pytest

import rarl
from rarl import registry
from rarl.config import RunConfig
from rarl.studies import load_study
from rarl.studies.frozen import require_frozen

FILES = sorted((Path(__file__).resolve().parents[1] / "configs").glob("*.toml"))
STUDIES = [path for path in FILES if path.stem.startswith("study-")]
CONFIGS = [path for path in FILES if path not in STUDIES]


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_a_shipped_config_loads(path):
    config = RunConfig.load(path)
    assert config.run.name == path.stem
    assert config.data.name in registry.datasets.names()
    assert set(config.reward.weights) <= set(registry.rewards.names())


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_a_shipped_study_loads_and_is_of_this_checkpoint_and_these_words(path):
    study = load_study(path)
    assert study.name == path.stem
    require_frozen(study)


def test_the_recipes_that_the_documentation_names_are_there():
    assert {"quickstart", "vqa-rad"} <= {path.stem for path in CONFIGS}


def test_the_demo_runs_the_quickstart():
    packaged = Path(rarl.__file__).parent / "assets" / "quickstart.toml"
    assert packaged.read_text() == CONFIGS[0].with_name("quickstart.toml").read_text(), (
        "configs/quickstart.toml was changed: copy it to src/rarl/assets/"
    )


def test_vqa_rad_starts_from_the_papers_model():
    config = RunConfig.load(CONFIGS[0].with_name("vqa-rad.toml"))
    assert config.model.base == "Qwen/Qwen2-VL-2B-Instruct"
    assert config.eval.splits == ("test",)
