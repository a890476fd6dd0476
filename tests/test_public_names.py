"""`rarl.__all__` is a contract: whoever changes it changes this list and the changelog."""

import importlib
import pkgutil
import subprocess
import sys
import types

import pytest

import rarl

FUNCTIONS = {
    *(
        "compare",
        "dataset",
        "engine",
        "evaluate",
        "export",
        "grade",
        "judge",
        "load_dataset",
        "plan",
        "predict",
        "reward",
        "sft",
    ),
    "train",
}
RECORDS = {
    *("Estimate", "EvalRecord", "Example", "Fact", "Family", "Finish", "Grade", "Group", "ImageSource"),
    *("JudgeQuery", "Message", "Prompt", "QuestionKind", "Rollout", "RunConfig", "Sampling", "Score", "Shape"),
    *("StepMetrics", "Template", "Verdict"),
}
ERRORS = {
    *("ConfigError", "DataError", "JudgeError", "MissingExtraError", "ModelError", "RarlError", "RewardError"),
    "RunFolderError",
}


def every_module():
    return sorted(module.name for module in pkgutil.walk_packages(rarl.__path__, "rarl."))


def test_the_public_names_are_these():
    assert sorted(rarl.__all__) == sorted(FUNCTIONS | RECORDS | ERRORS)


@pytest.mark.parametrize("name", sorted(rarl.__all__))
def test_every_public_name_is_there_and_listed(name):
    assert getattr(rarl, name) is not None
    assert name in dir(rarl)


def test_no_module_hides_a_public_name():
    for module in every_module():
        importlib.import_module(module)
        assert module.rpartition(".")[2] not in rarl.__all__, f"{module} bears the name of a public function"
    for name in rarl.__all__:
        assert not isinstance(getattr(rarl, name), types.ModuleType), name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = rarl.trian


def test_importing_rarl_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'datasets', 'matplotlib', 'numpy', 'pydantic', 'PIL', 'typer'}"
    code = f"import rarl, sys; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
