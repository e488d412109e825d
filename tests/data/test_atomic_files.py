"""Files that are replaced, held, and left behind."""

import errno
import os
import signal

import pytest
from tests.training.toys import Mean, points

from anabranch.data.atomic import atomic_write, check_output
from anabranch.data.locks import locked, take
from anabranch.training import CheckpointWarning, FitOptions, fit, run_state
from anabranch.training.interrupt import deferred_interrupt


@pytest.fixture
def path(tmp_path):
    (tmp_path / "model").write_bytes(b"old")
    return tmp_path / "model"


def write(path):
    with atomic_write(path) as file:
        file.write(b"new")


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_mode_stays(path, mode):
    path.chmod(mode)
    write(path)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)


def test_a_read_only_file_stays(path):
    path.chmod(0o444)
    for attempt in (write, check_output):
        with pytest.raises(PermissionError, match=r"cannot write .*model: it is read-only"):
            attempt(path)
    assert path.read_bytes() == b"old"


def test_what_killed_processes_left_is_removed(path):
    stale, other = path.with_name(".model.0123abcd.tmp"), path.with_name(".models.0123abcd.tmp")
    alive = path.with_name(".model.89abcdef.tmp")
    for file in (stale, other, alive):
        file.touch()
    with alive.open("rb") as held:
        assert take(held.fileno())
        write(path)
        assert {file.name for file in path.parent.iterdir()} == {"model", other.name, alive.name}


def test_a_file_is_held_by_one(path):
    lock = path.with_name(".model.lock")
    with lock.open("w") as other:
        assert take(other.fileno())
        with (
            pytest.raises(BlockingIOError, match="another process is writing"),
            locked(path),
        ):
            pass
    with locked(path), locked(path):  # one of a process that is no more does not count
        assert lock.exists()
    assert not lock.exists()


def test_a_fit_does_not_share_a_checkpoint(path):
    options = FitOptions(max_epochs=1, checkpoint=path)
    with path.with_name(".model.lock").open("w") as other:
        assert take(other.fileno())
        with pytest.raises(BlockingIOError, match="another process"):
            fit(Mean(), points(1.0), options=options)
    assert path.read_bytes() == b"old"


def test_a_full_disk_warns_and_the_fit_goes_on(path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_state, "save_checkpoint", full)
    with pytest.warns(CheckpointWarning, match="No space left on device; the fit goes on"):
        assert (
            fit(Mean(), points(1.0), options=FitOptions(max_epochs=3, checkpoint=path)).steps == 3
        )
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_noted_unless_ignored(number):
    # a suite behind nohup inherits one that is ignored
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with deferred_interrupt(enabled=True) as interrupted:
            signal.raise_signal(number)
            assert interrupted()
        signal.signal(number, signal.SIG_IGN)
        with deferred_interrupt(enabled=True) as interrupted:
            os.kill(os.getpid(), number)
            assert not interrupted()
    finally:
        signal.signal(number, before)
