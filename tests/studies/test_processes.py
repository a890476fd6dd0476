"""What becomes of a study whose jobs fail, die, or are told to stop."""

import threading
import time

import pytest

from rarl.errors import RarlError
from rarl.studies.processes import run_all
from toy_jobs import Toy, wait_for


def test_every_job_is_yielded_when_it_is_done_and_none_twice(tmp_path):
    jobs = [Toy(name) for name in "abcde"]
    for job in run_all(jobs, None, tmp_path, 2, "jobs"):
        assert job.is_done(None, tmp_path)
    assert all(job.is_done(None, tmp_path) for job in jobs)
    assert list(run_all(jobs, None, tmp_path, 2, "jobs")) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("refused", "refused: no such base; run the study again to go on"),
        ("surprised", "surprised: it failed, and {log} says why; run"),
        ("killed", "killed: its process was killed, which is how a machine that is short of memory"),
    ],
)
def test_the_first_error_lets_those_that_run_finish_and_starts_no_other(tmp_path, name, told):
    def free_the_slow_one():
        wait_for(tmp_path / name / "log.txt")
        wait_for(tmp_path / "slow" / "begun")
        (tmp_path / "go").touch()

    helper = threading.Thread(target=free_the_slow_one)
    helper.start()
    with pytest.raises(RarlError) as caught:
        list(run_all([Toy(name), Toy("slow"), Toy("later"), Toy("latest")], None, tmp_path, 2, "jobs"))
    helper.join()
    log = tmp_path / name / "log.txt"
    assert str(caught.value).startswith(told.format(log=log))
    assert ("ValueError: nobody foresaw this" in log.read_text()) == (name == "surprised")
    assert Toy("slow").is_done(None, tmp_path)
    assert not (tmp_path / "latest").exists()


def test_asked_to_stop_every_process_ends(tmp_path):
    running = run_all([Toy("a"), Toy("slow-1"), Toy("slow-2")], None, tmp_path, 2, "jobs")
    assert next(running) == Toy("a")
    wait_for(tmp_path / "slow-1" / "begun")
    running.close()  # as any error of the caller's does
    (tmp_path / "go").touch()
    time.sleep(0.1)
    assert not Toy("slow-1").is_done(None, tmp_path)
    assert not Toy("slow-2").is_done(None, tmp_path)
