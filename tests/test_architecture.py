"""The house: floors, circles and sizes, held against the table in docs/architecture.md."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "rarl"
FILES = sorted(SOURCE.rglob("*.py"))
OPTIONAL = (
    "trl",
    "openai",
    "torchvision",
    "tensorboard",
    "wandb",
    "trackio",
    "rouge_score",
    "pytest",
    "hypothesis",
)


def module_name(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def table():
    """The rows of the documentation's table: (floor, the names directly below rarl)."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    return [(int(floor), re.findall(r"`(\w+)`", names)) for floor, names in rows]


def on_floors(*wanted):
    return {name for floor, names in table() if floor in wanted for name in names}


@cache
def rows():
    return {name: row for row, (_, names) in enumerate(table()) for name in names}


def imports(path, *, at_start_only=False):
    """The absolute names of what a file imports."""
    tree = ast.parse(path.read_text())
    for node in tree.body if at_start_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in whole)


def parts(name):
    """What is directly below rarl, and what is below that."""
    _, package, below = (*name.split("."), "", "")[:3]
    return package, below


def own_imports(path):
    return {name for name in imports(path) if name.split(".")[0] == "rarl"}


def test_every_module_has_a_floor_and_every_floor_its_modules():
    found = {parts(name)[0] for name in MODULES} - {""}
    assert set(rows()) == found, "docs/architecture.md names other modules than src/rarl has"
    floors = [floor for floor, _ in table()]
    assert floors == sorted(floors)


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"rarl"}))
def test_imports_go_down(name):
    row, (package, _) = rows(), parts(name)
    for target in sorted(own_imports(MODULES[name])):
        other, _ = parts(target)
        assert other, f"{name} imports rarl itself; import from the module that defines the name"
        files = all((SOURCE / f"{module}.py").is_file() for module in (package, other))
        allowed = row[other] < row[package] or other == package or (row[other] == row[package] and files)
        assert allowed, f"{name} imports {target}, which is not on a row above in docs/architecture.md"


def test_there_are_no_circles():
    graph = {
        name: {target for target in own_imports(path) if target in MODULES} - {name} for name, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_floor_0_imports_only_the_standard_library():
    for name in on_floors(0):
        for target in imports(SOURCE / f"{name}.py", at_start_only=True):
            assert target.split(".")[0] in {*sys.stdlib_module_names, "rarl"}, f"{name} imports {target}"


def test_floors_0_and_1_do_not_import_torch():
    low = sorted(name for name in MODULES if parts(name)[0] in on_floors(0, 1))
    code = f"""
import importlib, sys
for name in {low!r}:
    importlib.import_module(name)
    assert "torch" not in sys.modules, f"{{name}} imports torch"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]


def test_everything_is_importable_without_the_optional_packages():
    code = f"""
import importlib, sys
for name in {OPTIONAL!r}:
    sys.modules[name] = None
for name in {sorted(MODULES)!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.parametrize("path", FILES, ids=[module_name(path) for path in FILES])
def test_sizes(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300, f"{path} has more than 300 lines"
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}, "name it after what it is about"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= 80, f"{path}: {node.name} has {lines} lines"


UNSAFE = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}


@pytest.mark.parametrize("path", FILES, ids=[module_name(path) for path in FILES])
def test_nothing_that_is_read_can_run_code(path):
    """What parses a file runs none of it: no pickles, in whatever dress, and no text as Python."""
    assert not {name.split(".")[0] for name in imports(path)} & UNSAFE
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        assert name not in {"eval", "exec", "compile", "__import__"}, f"{path}, line {call.lineno}"
        assert name not in {"torch.load", "torch.jit.load", "np.load", "numpy.load"}, f"{path}, line {call.lineno}"
        assert "allow_pickle" not in {keyword.arg for keyword in call.keywords}, f"{path}, line {call.lineno}"
