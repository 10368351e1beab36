"""The self-test of an isolation: a level of which a part fails is not taken, nor blamed on a program later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select

import pytest

import nursery
from ladder import Isolation
from nursery import Nursery
from selftest import NoIsolation, Settled, begin, judged
from tests.target.conftest import TARGET

# A zygote of which one part was sabotaged.
SABOTAGED = f"""
import os, runpy, sys
sys.path.insert(0, {str(TARGET)!r})
import sandbox, seccomp
SABOTAGE
runpy.run_path({str(TARGET / "zygote.py")!r}, run_name="__main__")
"""
Start = Callable[[str], Settled]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """How to settle at level L with a sabotaged zygote."""
    settled: list[Settled] = []
    monkeypatch.setattr(nursery, "FOLDER", tmp_path)

    def start(sabotage: str) -> Settled:
        (tmp_path / "zygote.py").write_text(SABOTAGED.replace("SABOTAGE", sabotage))
        settled.append(begin(lambda isolation: Nursery(tmp_path / "box", 4096, isolation), Isolation("L")))
        return settled[0]

    yield start
    for one in settled:
        one.nursery.close()


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        ("sandbox.landlock = lambda *_: None", "not refused: reading files outside the box"),
        ("seccomp.install = lambda: None", "not refused: new user namespaces, io_uring"),
        ("seccomp.DENIED['socketpair'] = (53, 199)", "no socket pairs: the container's seccomp profile forbids them"),
        ("sandbox.limit = lambda _: 1 / 0", "a box could not be shut: ZeroDivisionError"),
    ],
)
def test_a_level_of_which_a_part_fails_is_not_taken(start: Start, sabotage: str, said: str) -> None:
    with pytest.raises((NoIsolation, nursery.Infrastructure), match=re.escape(said)):
        start(sabotage)


def test_a_box_that_cannot_be_shut_later_is_nobodys_fault(start: Start, tmp_path: Path) -> None:
    refuse = tmp_path / "readable" / "refuse"
    refuse.parent.mkdir()
    settled = start(
        f"install = seccomp.install\ndef moody():\n    if os.path.exists({str(refuse)!r}): raise OSError('no filter')\n"
        "    install()\nseccomp.install = moody\nsandbox.landlock = (lambda f: lambda *a: "
        f"(r := f(*a)).allow_path({str(refuse.parent)!r}, sandbox.READ) and r)(sandbox.landlock)"
    )
    refuse.touch()
    box = settled.nursery.start(b"")
    box.wire.receive()
    hello = {"budget": 1.0, "seed": 0, "device": "cpu", "max_seq_len": 8, "vocab_size": 256}
    box.wire.send(hello)
    assert select([box.process], [], [], 20)[0]  # it has ended by itself
    with pytest.raises(nursery.Infrastructure, match="a box could not be shut: OSError: no filter"):
        settled.nursery.end(box)


def test_what_was_found_decides() -> None:
    names = "read masked write environ memory ptrace signal tcp udp userns io_uring stat socket abstract pids"
    needed = "compute folder thread pair compiler"
    found = dict.fromkeys(names.split(), "denied") | dict.fromkeys(needed.split(), "ok")
    assert judged("N", found) == []
    assert judged("N", found | {"stat": "ALLOWED"}) == ["not refused: stat() of hidden files"]
    assert judged("L", found | {"stat": "ALLOWED", "pids": "ALLOWED"}) == []
    assert "noexec" in judged("L", found | {"compiler": "OSError: failed to map"})[0]
    assert judged("U", {})[0].startswith("not refused: reading the masked texts")
