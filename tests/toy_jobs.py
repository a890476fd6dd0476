"""Jobs for the study's processes, which import this module anew."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from rarl.errors import RarlError


class Toy(NamedTuple):
    """A job that does what its name says, and leaves a file when it is done."""

    name: str

    def folder(self, out):
        return out / self.name

    def is_done(self, study, out):
        return (self.folder(out) / "done").exists()

    def run(self, study, out):
        folder = self.folder(out)
        (folder / "begun").touch()
        if self.name == "refused":
            raise RarlError("no such base")
        if self.name == "surprised":
            raise ValueError("nobody foresaw this")
        if self.name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.name.startswith("slow"):
            (out / "go").exists() or wait_for(out / "go")
        (folder / "done").touch()


def wait_for(path: Path, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.01)
