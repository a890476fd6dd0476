"""One file of what the phases of gpu.sh found, with the device, its driver and the versions that it was found with.

`python benchmarks/device_results.py FOLDER --results benchmarks/results` reads FOLDER's phases.tsv (name, exit status,
seconds) and the JSON that each phase has left beside it under its name.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rarl.environment import describe_environment


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--results", type=Path, required=True)
    args = parser.parse_args(arguments)
    environment = environment_of(args.device)
    found = {"device": environment["device"], "phases": phases(args.folder), "environment": environment}
    name = f"{environment['device']} {environment['time'][:10]} {(environment['commit'] or '')[:7]}"
    args.results.mkdir(parents=True, exist_ok=True)
    out = args.results / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")
    out.write_text(json.dumps(found, indent=2) + "\n")
    print(f"results: {out}")


def phases(folder: Path) -> dict[str, Any]:
    """By name; what a phase that failed has left is kept too."""
    found = {}
    for row in (folder / "phases.tsv").read_text().splitlines():
        name, status, seconds = row.split("\t")
        file = folder / f"{name}.json"
        measured = json.loads(file.read_text()) if file.is_file() else None
        found[name] = {"status": int(status), "seconds": int(seconds), "found": measured}
    return found


def environment_of(device: str) -> dict[str, Any]:
    environment = describe_environment()
    environment["packages"]["trl"] = _trl()
    if device == "cpu":
        return environment | {"device": environment["cpu"]}
    import torch

    return environment | {
        "device": torch.cuda.get_device_name(),
        "device_memory_bytes": torch.cuda.get_device_properties(0).total_memory,
        "cuda": torch.version.cuda,
        "driver": _driver(),
    }


def _trl() -> str | None:
    try:
        return version("trl")
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.split()[0] if done.returncode == 0 and done.stdout.split() else None


if __name__ == "__main__":
    main()
