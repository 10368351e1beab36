"""Attacks on the judge and the machine: each is stopped or in vain, is told by its name, and leaves nothing behind.

`REDTEAM_LEVEL=L` runs them at the level of isolation for containers. Without its defence each does harm: README.md.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redteam.attacks import Program, programs
from tests.redteam.laboratory import Laboratory

LEVEL = os.environ.get("REDTEAM_LEVEL", "N")


@pytest.fixture(scope="module")
def laboratory(cache: Path) -> Iterator[Laboratory]:
    laboratory = Laboratory(cache, level=LEVEL)
    before = fingerprint(laboratory)
    yield laboratory
    assert fingerprint(laboratory) == before
    judge = laboratory.slot.process
    assert judge.poll() is None and laboratory.slot.close() == 0
    assert not laboratory.box.exists()
    laboratory.close()


def fingerprint(laboratory: Laboratory) -> dict[str, str]:
    """The judge's files and those around it."""
    files = [*laboratory.corpus.iterdir(), *(p for p in laboratory.scratch.rglob("*") if p.is_file())]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def marked(program: Program) -> object:
    marks = [pytest.mark.slow] if program["slow"] else []
    if program["open"]:
        marks.append(pytest.mark.xfail(reason=program["open"], strict=True))
    return pytest.param(program, id=program.name, marks=marks)


@pytest.mark.parametrize("program", [marked(program) for program in programs(LEVEL)])
def test_attack(laboratory: Laboratory, program: Program) -> None:
    judge = laboratory.slot.process.pid
    report = laboratory.attack(program)
    outcome = report.outcome
    unknown = [harm for harm in report.harms if not program["harm"] or not harm.startswith(program["harm"])]
    assert (program.faults(outcome), unknown) == ([], []), outcome
    assert report.harms or not program["harm"], "what was known not to hold holds now: say so"
    assert {path.name for path in laboratory.box.iterdir()} == {"train.py", "tmp"}
    assert laboratory.slot.process.poll() is None and laboratory.slot.process.pid == judge


def test_every_program_says_what_it_is_for() -> None:
    for program in (*programs(), *programs(gpu=True)):
        for key in ("row", "attempts", "expects", "defence"):
            assert program[key], (program.name, key)
        assert program["off"] or program["unsafe"] or program["note"], program.name


def test_every_row_has_a_program() -> None:
    here = {int(program["row"]) for program in (*programs(), *programs(gpu=True))}
    elsewhere = {29, 59, 62, 68, 71, 73, 74}  # README.md says where, and of 71 why nowhere
    assert here | elsewhere == set(range(1, 76))


SOURCES = [
    (b"", "crashed", "without a call of evaluate_bpb"),
    (b"def f(:\n", "rejected", "SyntaxError at line 1"),
    (b"x = '\0'\n", "rejected", "null bytes"),
    (b"\xff\xfe\x00", "rejected", "SyntaxError"),
    (b"#" + b"x" * 5_000_000 + b"\nraise KeyError('read')\n", "crashed", "KeyError at line 2"),
    (b"import torch\r\nraise KeyError('crlf')\r\n", "crashed", "KeyError at line 2"),
    (b"\xef\xbb\xbfraise KeyError('mark')\n", "crashed", "KeyError at line 1"),
    ("\u0435valuate_bpb = 1\nraise KeyError('homoglyph')\n".encode(), "crashed", "KeyError at line 2"),
    (b"x = " + b"(" * 3000 + b")" * 3000, "rejected", "Error"),
]


@pytest.mark.parametrize(("source", "status", "reason"), SOURCES, ids=[str(i) for i in range(len(SOURCES))])
def test_sources_that_are_no_programs(laboratory: Laboratory, source: bytes, status: str, reason: str) -> None:
    """Row 73: the engine's guard refuses them, and the judge does not depend on it."""
    outcome = laboratory.slot.bytes_of(source)
    assert outcome["status"] == status and reason in outcome["reason"], outcome
    assert laboratory.honest()["status"] == "ok"
