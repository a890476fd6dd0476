"""Has the server at sys.argv[2] judge the records in the folder sys.argv[1], in a process that a test can kill."""

import sys
from pathlib import Path

from evaluation.scripted import record
from rarl.config import JudgeSection
from rarl.evaluation import records as store
from rarl.evaluation.verdicts import judged
from rarl.judges import make_judge
from rarl.types import Example

RECORDS = [record(f"q{number}", answer=f"answer {number}", reasoning=f"because {number}") for number in range(30)]
CONCURRENCY = 4


def main(folder: Path, url: str) -> None:
    if not (folder / store.RECORDS).exists():
        folder.mkdir()
        store.append(folder, RECORDS)
    settings = JudgeSection(kind="openai", model="m", base_url=url, cache="off", concurrency=CONCURRENCY)
    examples = [Example(each.id, "c", (), "Where?", "left", ("left", "right")) for each in RECORDS]
    judged(store.read_records(folder), examples, folder, make_judge(settings), {"kind": "openai", "model": "m"})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
