"""What a run was made with: versions, machine, command. No host name, no path of the user, no environment variable."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

VERSION = "0.1.0"  # said here alone, so that it is known of a checkout that is not installed too
_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "accelerate",
    "datasets",
    "safetensors",
    "numpy",
    "pillow",
)
# The folders of an absolute path that starts an argument, a value or an item of a list.
_FOLDERS = re.compile(r"""(^|[="'\[,\s])(?:~|[A-Za-z]:)?[/\\](?:[^/\\"',\]]*[/\\])*""")


def describe_environment() -> dict[str, Any]:
    """Python, packages, machine, command line, time and, in a checkout of rarl, the commit. Imports none of them."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "python": platform.python_version(),
        "packages": {"rarl": VERSION} | {name: found for name in _PACKAGES if (found := _version(name))},
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": _commit(),
    }


def _command() -> list[str]:
    called, *arguments = map(_without_folders, sys.argv)
    return ["rarl" if called == "__main__.py" else called, *arguments]  # python -m rarl is the same command


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _without_folders(argument: str) -> str:
    """`--set data.root=/home/someone/images` as `--set data.root=images`: folders tell who somebody is."""
    return _FOLDERS.sub(r"\1", argument)


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the checkout that this file is in, with a + where files were changed; None outside of one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    commit, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if commit and changes else commit


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
