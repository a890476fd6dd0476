"""Keeps what a study found: its files go into a folder of the repository, its page into docs/.

    rarl study configs/study-embedded-full.toml   # its search finds the learning rates that the other file has
    rarl study configs/study-embedded.toml
    python benchmarks/record_study.py runs/study-embedded --search runs/study-embedded-full
    python benchmarks/record_study.py runs/study-embedded-full --page docs/results-full.md

Records of single questions stay where they are: they are drawn again from the seeds.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from rarl.files import read_json, write_json, write_text
from rarl.studies import load_study
from rarl.studies.results import FROZEN, RESULTS, load_results
from rarl.studies.searching import SEARCH
from rarl.studies.tables import SESSIONS, markdown, search_table, study_page

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "benchmarks" / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder of a study that is done")
    parser.add_argument("--search", type=Path, help="the folder of the study whose search it builds on")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where they are kept")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results.md")
    given = parser.parse_args(arguments)
    study = keep(given.study, given.kept, (FROZEN, RESULTS, SESSIONS))
    search = keep(given.search, given.kept, (FROZEN,)) if given.search else None
    write_text(given.page, page(study, search))


def keep(folder: Path, where: Path, names: Sequence[str]) -> Path:
    """These files of the study's, and its search where it has one, under its name."""
    kept = where / load_study(folder / FROZEN).name
    kept.mkdir(parents=True, exist_ok=True)
    for name in (*names, *([SEARCH] if (folder / SEARCH).is_file() else [])):
        shutil.copyfile(folder / name, kept / name)
    environment = read_json(folder / "environment.json")
    environment.pop("platform", None)  # of no use to others
    write_json(kept / "environment.json", environment)
    return kept


def page(study: Path, search: Path | None = None) -> str:
    """The study's page, and the search that its learning rates come from where that was another study's."""
    if search is None:
        return study_page(load_results(study))
    found = search_table(load_study(search / FROZEN), search)
    return f"{study_page(load_results(study))}\n{markdown(found)}\n"


if __name__ == "__main__":
    main()
