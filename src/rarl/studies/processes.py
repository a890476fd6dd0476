"""Jobs side by side, each in a process of its own. No two share a lock: one that dies holds up no other."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing import forkserver, get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from rarl.errors import RarlError
from rarl.files import not_written
from rarl.stopping import SIGNALS, ignored, stoppable
from rarl.studies.design import Study
from rarl.studies.jobs import Work
from rarl.terminal import progress

PASSED_ON = SIGNALS[-1]
_LONGEST = 10_000  # characters of a message: a pipe holds it, so nobody waits for its reader


def run_all(jobs: Sequence[Work], study: Study, out: Path, workers: int, label: str) -> Generator[Work]:
    """What is missing of `jobs`, `workers` at once; each is yielded when it is done.

    Errors: RarlError, the first one: no other job is started then, and those that run finish. Asked to stop, those that
    run save what they have; asked again, they are killed.
    """
    missing = [job for job in jobs if not job.is_done(study, out)]
    if missing:
        with closing(_done(missing, study, out, workers)) as done:
            yield from progress(done, label, total=len(missing), after=0.0)


class _Running(NamedTuple):
    job: Work
    process: BaseProcess
    told: Connection
    """None when the job listens to PASSED_ON, then what went wrong, if anything did."""

    @property
    def started(self) -> bool:
        return self.process.pid is not None

    def require_done(self, out: Path) -> None:
        """Errors: RarlError, what the job told, or how its process ended."""
        told = None
        with suppress(EOFError):
            while told is None and self.told.poll():
                told = self.told.recv()
        code = self.process.exitcode
        if told is None and code:
            killed = "its process was killed, which is how a machine that is short of memory ends one"
            told = killed if code < 0 else f"it failed, and {_log(self.job, out)} says why"
        if told is not None:
            raise RarlError(f"{self.job.name}: {told}; run the study again to go on")


def _done(missing: Sequence[Work], study: Study, out: Path, workers: int) -> Generator[Work]:
    waiting, running, processes = deque(missing), list[_Running](), _processes()
    with _ended(running):
        while waiting or running:
            while waiting and len(running) < workers:
                _start(waiting.popleft(), study, out, processes, running)
            over = wait([each.process.sentinel for each in running])
            for each in [each for each in running if each.process.sentinel in over]:
                each.process.join()
                running.remove(each)
                each.require_done(out)
                yield each.job


def _start(job: Work, study: Study, out: Path, processes: BaseContext, running: list[_Running]) -> None:
    told, tells = processes.Pipe(duplex=False)
    process = processes.Process(target=_work, args=(job, study, out, tells), name=job.name)  # type: ignore[attr-defined]
    running.append(_Running(job, process, told))  # before it starts: a signal may come in between
    process.start()
    tells.close()


@contextmanager
def _ended(running: Sequence[_Running]) -> Iterator[None]:
    """However the part within ends, none of its processes goes on afterwards."""
    try:
        try:
            yield
        except RarlError:
            _join(running)
            raise
    except RarlError:
        raise
    except BaseException:
        _stop([each for each in running if each.started])
        raise


def _stop(running: Sequence[_Running]) -> None:
    try:
        for each in running:
            if each.told.poll() and each.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(each.process.pid, PASSED_ON)
            else:
                each.process.kill()  # it has not begun
        _join(running)
    except BaseException:
        for each in running:
            each.process.kill()
        raise


def _join(running: Sequence[_Running]) -> None:
    for each in running:
        each.process.join()


def _processes() -> BaseContext:
    """New ones that have the slow imports behind them, where the system can."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    processes = get_context("forkserver")
    processes.set_forkserver_preload(["rarl.studies.jobs", "transformers.models.qwen2_vl.modeling_qwen2_vl"])
    # A terminal, or a scheduler, signals all processes at once. Here the study alone listens, and passes it on once.
    with ignored():
        forkserver.ensure_running()  # what is ignored now stays so in it
    return processes


def _work(job: Work, study: Study, out: Path, tells: Connection) -> None:
    """The job, with what it says in a file of its folder: several share the terminal."""
    Thread(target=_end_with_the_study, daemon=True).start()
    signal.signal(PASSED_ON, signal.SIG_DFL)
    try:
        _write_into(_log(job, out))
        with stoppable("the study goes on with it"):
            tells.send(None)
            job.run(study, out)
    except RarlError as error:
        tells.send(str(error)[:_LONGEST])


def _log(job: Work, out: Path) -> Path:
    return job.folder(out) / "log.txt"


def _end_with_the_study() -> None:
    """A study that was killed leaves no process behind that its next call would meet at work."""
    study = parent_process()
    if study is not None:
        study.join()
        os._exit(1)


def _write_into(log: Path) -> None:
    """The process's standard error goes to the end of this file, that of libraries and of errors nobody foresaw too."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab", buffering=0) as file:
            os.dup2(file.fileno(), 2)
    except OSError as error:
        raise not_written(log, error) from None
