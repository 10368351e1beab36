"""Who has a GPU: one process at a time, in turns, freed by its end, whatever others put into the shared folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lease import Lease
from nursery import Infrastructure
from tests.target.conftest import TARGET

HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from lease import Lease, about_this_process
with Lease("GPU-1", about_this_process(), Path(sys.argv[2])).held(lambda holder: None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "leases"


@pytest.fixture
def other(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has the lease."""
    command = [sys.executable, "-c", HOLD, str(TARGET), str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def never(holder: str) -> None:
    raise AssertionError(f"there was nothing to wait for: {holder}")


def test_a_lease_is_had_by_one_process_and_its_end_frees_it(folder: Path, other: subprocess.Popen[str]) -> None:
    said: list[str] = []

    def wait(holder: str) -> None:
        said.append(holder)
        if len(said) == 3:
            other.kill()
            other.wait()

    with Lease("GPU-1", "me", folder).held(wait):
        assert len(said) >= 3 and said[0].startswith(f"pid {other.pid}, started by pid {os.getpid()} (")
        assert (folder / "GPU-1").read_text() == "me"
    assert (folder / "GPU-1").read_text() == ""


@pytest.mark.parametrize("remove", [Path.unlink, lambda file: file.rename(file.with_name("aside"))])
def test_a_lease_that_was_removed_meanwhile_is_not_the_one_that_is_had(
    folder: Path, other: subprocess.Popen[str], remove: Callable[[Path], None]
) -> None:
    """Its lock would keep nobody out: who comes next opens another file."""

    def wait(holder: str) -> None:
        remove(folder / "GPU-1")
        other.kill()
        other.wait()

    def give_up(holder: str) -> None:
        raise TimeoutError

    with Lease("GPU-1", "me", folder).held(wait):
        assert (folder / "GPU-1").read_text() == "me"
        with pytest.raises(TimeoutError), Lease("GPU-1", "a third", folder).held(give_up):
            raise AssertionError("another has it")


def test_each_device_has_a_lease_of_its_own(folder: Path, other: subprocess.Popen[str]) -> None:
    with Lease("GPU-2", "me", folder).held(never):
        pass


def test_who_does_not_want_to_wait_any_longer_has_nothing(folder: Path, other: subprocess.Popen[str]) -> None:
    def leave(holder: str) -> None:
        raise SystemExit

    with pytest.raises(SystemExit), Lease("GPU-1", "me", folder).held(leave):
        raise AssertionError("another has it")
    assert (folder / "GPU-1").read_text().startswith(f"pid {other.pid}")
    other.communicate("")
    with Lease("GPU-1", "me", folder).held(never):
        pass


def test_runs_that_share_a_device_take_turns(folder: Path) -> None:
    """The one that has just had it does not get it again before the one that waits."""
    turns: list[str] = []
    both = threading.Barrier(2)

    def work(name: str) -> None:
        waits: Callable[[str], None] = lambda holder: time.sleep(0.001)  # noqa: E731
        both.wait()
        for _ in range(6):
            with Lease("GPU-1", name, folder).held(waits):
                turns.append(name)
                time.sleep(0.05)  # long enough for the other one to queue

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "".join(turns) in ("ab" * 6, "ba" * 6)


def test_everybody_may_use_the_folder_and_nobody_may_remove_what_is_another_s(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        with Lease("GPU-1", "me", folder).held(never):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
            assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o666}
    finally:
        os.umask(before)


def a_link(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def a_second_name(place: Path, victim: Path) -> None:
    os.link(victim, place)


def a_pipe(place: Path, victim: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("trap", [a_link, a_second_name, a_pipe])
def test_what_others_lay_out_as_a_lease_is_neither_followed_nor_written(
    folder: Path, tmp_path: Path, trap: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.mkdir()
    trap(folder / "GPU-1", victim)
    refused = pytest.raises(Infrastructure, match="no lease of a GPU: .*/GPU-1.*; remove it, or ask its owner to")
    with refused, Lease("GPU-1", "me", folder).held(never):
        raise AssertionError("it is no lease")
    assert victim.read_text() == "precious"


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.symlink_to(tmp_path)
    with pytest.raises(Infrastructure, match="no lease of a GPU"), Lease("GPU-1", "me", folder).held(never):
        raise AssertionError("it is no folder")


def test_what_a_lease_says_cannot_steer_a_terminal(folder: Path) -> None:
    said: list[str] = []

    def wait(holder: str) -> None:
        said.append(holder)
        raise TimeoutError

    first, second = Lease("GPU-1", "pid 1\n\x1b[2Jyou are\x07 root" + "!" * 5000, folder), Lease("GPU-1", "me", folder)
    with first.held(never), pytest.raises(TimeoutError), second.held(wait):
        raise AssertionError("another has it")
    assert said[0].isprintable() and said[0].startswith("pid 1") and len(said[0]) <= 300


def test_the_name_of_a_device_leads_nowhere_else(folder: Path) -> None:
    with Lease("../../GPU-1", "me", folder).held(never):
        assert sorted(file.name for file in folder.iterdir()) == ["GPU-1", "GPU-1.next"]
