"""Where attacks are run: a real judge among traps, and everything that an attack did outside of its box.

An attack's own words count for nothing. What counts is seen here: files outside its folder, words that reached a
listener, secrets and text in the outcome, processes that are left, a neighbour that was touched, the machine's clock,
CPU time, and the score.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from packages import test_folders
from tests.redteam.attacks import Program
from tests.redteam.traps import Listeners, Victim, Watcher
from tests.target.slot import SCORE, TARGET, TINY, Slot

WEAKENED = Path(__file__).parent / "weakened.py"
CORE = max(os.sched_getaffinity(0))  # that judge and boxes run on
SHARE = 0.02  # of the full budget, so that few rows are scored
ENDLESS = (60.0, 25.0)  # seconds after which a trial is taken to have no end: with all defences, and without some
LEFT = 1.0  # seconds for what was killed to be gone
CONTROL_CHARACTERS = re.compile(r"[^\n\t\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]")
KILLED = re.compile("killed: |memory: |.*(allocate memory|File too large)")
LONG = 24  # characters of a line that is told apart by its text
Outcome = dict[str, Any]
SECRETS = ("KEY", "VICTIM", "CACHED")


@dataclass
class Report:
    """The outcomes of an attack, and the harm that was done."""

    outcomes: list[Outcome] = field(default_factory=list)
    harms: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        return self.outcomes[-1] if self.outcomes else {"status": "none", "violation": "", "reason": "no outcome"}

    @property
    def score(self) -> float | None:
        return self.outcome.get("metrics", {}).get("val_bpb")


class WeakSlot(Slot):
    """A judge process, by way of launchers, with a secret in its environment."""

    def __init__(self, cache: Path, folder: Path, command: list[str], secret: str) -> None:
        self.cache, self.folder = cache, folder
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"EVOLVE_REDTEAM_API_KEY": secret},
        )
        self.ready = self.read()

    def read(self) -> dict[str, Any]:
        """What the judge says next; where it has gone, that."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else {"ready": False, "error": "the judge ended; see standard error"}

    def patient(self, source: str, seconds: float, **options: Any) -> Outcome | None:
        """The outcome of one trial, or None where there is none within so many seconds, or no judge any more."""
        assert self.process.stdout is not None
        try:
            self.send(source, **options)
        except BrokenPipeError:
            return None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else None

    def bytes_of(self, source: bytes) -> Outcome:
        """The outcome of a program that is perhaps no text."""
        (self.folder / "train.py").write_bytes(source)
        request = {"job": str(self.folder), "budget": 0.05, "rung": SHARE, "seed": 0, "purpose": "smoke"}
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.read()


class Laboratory:
    """A judge with some defences switched off, perhaps none, and the traps around it."""

    def __init__(self, cache: Path, off: tuple[str, ...] = (), level: str = "N", patience: float = 3.0) -> None:
        self.off, self.level = off, level
        self.home = Path(tempfile.mkdtemp(prefix="rt-"))
        self.home.chmod(0o755)
        self.scratch = self.home / "scratch"
        (self.scratch / "pip").mkdir(parents=True)
        (self.scratch / "pip" / "wheel").write_text(f"{self.secret('CACHED')} def test_cached(): pass")
        self.scratch.chmod(0o777)
        (self.home / "job").mkdir()
        self.listeners = Listeners(self.scratch)
        self.victim = Victim(self.secret("VICTIM"))
        self.cache = cache
        judge = [str(TARGET / "judge.py")] if not off else [str(WEAKENED), *(f"--off={name}" for name in off)]
        options = ["--scale=cpu", f"--core={CORE}", f"--cache={cache}", f"--patience={patience}"]
        command = [*container(level), sys.executable, *judge, *options, *isolation(level)]
        self.slot = WeakSlot(cache, self.home / "job", command, self.secret("KEY"))
        assert self.slot.ready["ready"], self.slot.ready
        self.judge = judge_below(self.slot.process.pid, self.cache)
        self.rest = self.processes()
        self.idle = self._cpu(self.honest)

    def secret(self, kind: str) -> str:
        return f"REDTEAM-{kind}-{hashlib.sha256(str(self.home).encode()).hexdigest()[:12]}"

    @property
    def box(self) -> Path:
        return self.cache.resolve() / "boxes" / str(self.judge)

    @cached_property
    def corpus(self) -> Path:
        return next(path for path in self.cache.resolve().glob("sympy-*") if (path / "corpus.json").exists())

    @cached_property
    def texts(self) -> dict[str, bytes]:
        return {name: (self.corpus / f"{name}.bin").read_bytes() for name in ("train", "val", "test", "second")}

    @cached_property
    def flat(self) -> dict[str, str]:
        """Texts in one line each, as reasons are."""
        return {name: " ".join(text.decode(errors="replace").split()) for name, text in self.texts.items()}

    def quotes(self, reason: str) -> bool:
        """Whether a reason holds a piece of validation text that is nowhere in the training text."""
        words = " ".join(reason.split())
        pieces = (words[start : start + LONG] for start in range(0, len(words) - LONG, LONG // 3))
        return any(piece in self.flat["val"] and piece not in self.flat["train"] for piece in pieces)

    @cached_property
    def secret_lines(self) -> frozenset[str]:
        """Long lines of validation and test text that are nowhere in the training text, and of each module in a hidden
        folder the longest, since any of them may be such text at another scale."""
        lines = {name: {line.strip() for line in text.splitlines()} for name, text in self.texts.items()}
        hidden = lines["val"] | lines["test"] | lines["second"]
        modules = (path.read_bytes() for place in test_folders() for path in place.rglob("*.py"))
        hidden |= {max(text.splitlines(), key=len, default=b"").strip() for text in modules}
        hidden -= lines["train"]
        return frozenset(line.decode(errors="replace") for line in hidden if len(line) >= LONG)

    def processes(self) -> set[int]:
        """What is below the judge now, or works in a folder of its boxes."""
        return running(self.judge, self.box)

    def _cpu(self, act: Any) -> float:
        """CPU-seconds of the boxes that end while `act` runs."""
        before = self._waited()
        act()
        after = self._waited()
        return sum(seconds - before[pid] for pid, seconds in after.items() if pid in before)

    def _waited(self) -> dict[int, float]:
        found = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            judge = psutil.Process(self.judge)
            for process in [judge, *judge.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    found[process.pid] = times.children_user + times.children_system
        return found

    def honest(self) -> Outcome:
        """A trial that does nothing wrong, after an attack or before."""
        look = "import os\nassert sorted(os.listdir('.')) == ['tmp', 'train.py'] and not os.listdir('tmp')\n"
        for _ in range(3):
            outcome = self.slot.patient(TINY + look + SCORE, 60.0, budget=0.05, rung=SHARE, purpose="smoke")
            if outcome is None or "usual speed" not in outcome["reason"]:
                break
        return outcome or {"status": "none", "reason": "no outcome", "violation": ""}

    def fill(self, source: str, mark: str) -> str:
        """A program with the names of what there is to attack."""
        words = {
            "mark": mark,
            "state": f"state-{mark}",
            "number": str(int(mark, 16) % 2**31),
            "scratch": str(self.scratch),
            "tcp": str(self.listeners.tcp.getsockname()[1]),
            "udp": str(self.listeners.udp.getsockname()[1]),
            "unix": str(self.listeners.path),
            "abstract": self.listeners.name,
            "victim": str(self.victim.process.pid),
            "address": str(self.victim.address),
            "judge": str(self.judge),
            "corpus": str(self.corpus),
            "target": str(TARGET),
            "home": str(Path.home()),
        }
        for word, value in words.items():
            source = source.replace(f"<{word}>", value)
        return source

    def attack(self, program: Program) -> Report:
        """Run a program, and an honest trial after it, and say what came of both."""
        mark = f"{random.getrandbits(64):016x}"
        source, report = self.fill(program.source, mark), Report()
        shift = time.time() - time.monotonic()
        purposes = program.purposes * (2 if program["twice"] else 1)
        watcher = Watcher(self.judge, CORE)
        watcher.start()
        used = 0.0
        for count, purpose in enumerate(purposes):
            if len(report.outcomes) == count:  # after a trial that has no end there is no other
                used = self._cpu(lambda purpose=purpose: self._trial(program, source, purpose, report))
        report.harms += watcher.stop(killed=bool(KILLED.match(report.outcome["reason"])))
        if abs(time.time() - time.monotonic() - shift) > 0.5:
            report.harms.append("the machine's clock was set")
        if len(report.outcomes) < len(purposes):
            report.harms.append("the trial has no end" if self.alive else "the judge was killed")
        report.harms += [*self._outside(mark), *self._said(program, report)]
        if (
            report.outcome["status"] == "ok"
            and program["budget"]
            and (over := used - self.idle) > 4 * program.budget + 0.6
        ):
            report.harms.append(f"{over:.1f} CPU-seconds with a budget of {program.budget:g}")
        if len(report.outcomes) == len(purposes) and (after := self.honest())["status"] != "ok":
            report.harms.append(f"the next trial ends as {after['status']}: {after['reason'][:80]}")
        return report

    @property
    def alive(self) -> bool:
        """Whether the judge lives; a moment is left to one that has just hung up."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.slot.process.wait(0.5)
        return self.slot.process.poll() is None

    def _trial(self, program: Program, source: str, purpose: str, report: Report) -> None:
        for _ in range(5):
            outcome = self.slot.patient(
                source, ENDLESS[bool(self.off)], budget=program.budget, rung=program.share, purpose=purpose
            )
            if outcome is None or "usual speed" not in outcome["reason"]:
                break
        if outcome is not None:
            report.outcomes.append(outcome)

    def _outside(self, mark: str) -> Iterator[str]:
        """What there is now that was not there before."""
        yield from self.listeners.heard()
        yield from self.victim.harm()
        packages = [Path(p) for p in {*site.getsitepackages(), *(str(Path(p)) for p in sys.path if "-packages" in p)}]
        home = Path.home()
        places = [
            Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run"), Path("/tmp/torchinductor_root"), TARGET,
            home, home / ".cache", home / ".cache/torch", home / ".triton/cache", self.scratch,
            self.scratch / "inductor", self.cache, *packages,
        ]  # fmt: skip
        for place in places:
            for path in place.glob(f"*{mark}*") if place.is_dir() else ():
                path.unlink(missing_ok=True)
                yield f"a file outside: {place.name}/{path.name.replace(mark, 'MARK')}"
        libc = ctypes.CDLL(None)
        if (segment := libc.shmget(int(mark, 16) % 2**31, 0, 0)) >= 0:
            libc.shmctl(segment, 0, None)
            yield "a segment of shared memory"
        stop = time.monotonic() + LEFT
        while (left := self.processes() - self.rest) and time.monotonic() < stop:
            time.sleep(0.02)
        if left:
            yield f"{len(left)} processes survive"
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _said(self, program: Program, report: Report) -> Iterator[str]:
        """What the outcomes hold that they should not."""
        text = json.dumps(report.outcomes)
        yield from (f"a secret was read: {kind.lower()}" for kind in SECRETS if self.secret(kind) in text)
        for outcome in report.outcomes:
            yield from self._told(outcome)
        if program["compare"] and len({re.sub(r"\d+", "N", o["log_tail"]) for o in report.outcomes}) > 1:
            yield "the box can tell what a trial is for"
        if report.outcome["status"] != "ok":
            return
        if self.files > 10_500:
            yield f"{self.files:,} files were made"
        if self.size > 1.2 * 2**30:
            yield f"{self.size / 2**30:.1f} GB of files were made"
        if report.score is not None and report.score < program.earned:
            yield f"a false score: {report.score:.3f} bits per byte"
        if not re.fullmatch(program["expects"], "ok"):
            yield f"accepted, with {report.score:.3f} bits per byte"

    def _told(self, outcome: Outcome) -> Iterator[str]:
        said = outcome["log_tail"] + "\n" + outcome["reason"]
        lines = said.replace("\\n", "\n").splitlines()
        if any(line.strip() in self.secret_lines for line in lines) or self.quotes(outcome["reason"]):
            yield "text of the evaluation was told"
        if len(outcome["log_tail"]) > 8192 or len(outcome["reason"]) > 600:
            yield f"a log of {len(said):,} characters"
        if CONTROL_CHARACTERS.search(said):
            yield "control characters in what is told"
        if outcome["status"] == "infrastructure" and "usual speed" not in outcome["reason"]:
            yield f"the harness is blamed: {outcome['reason'][:80]}"

    @property
    def files(self) -> int:
        """How many a box has left, until the next one starts."""
        return sum(len(names) for _, _, names in os.walk(self.box)) if self.box.is_dir() else 0

    @property
    def size(self) -> int:
        """Bytes of what a box has left, until the next one starts."""
        return sum(path.lstat().st_blocks * 512 for path in self.box.rglob("*")) if self.box.is_dir() else 0

    def close(self) -> None:
        self.victim.close()
        self.listeners.close()
        if self.off and self.slot.process.poll() is None:
            os.kill(self.judge, signal.SIGKILL)  # it may be in the middle of a trial that has no end
            shutil.rmtree(self.box, ignore_errors=True)
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            self.slot.close()
        for pid in {*self.processes(), self.slot.process.pid, self.judge}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.slot.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def judge_below(launcher: int, cache: Path) -> int:
    """The judge's own process: below the launcher of a container."""
    below = [launcher, *(process.pid for process in psutil.Process(launcher).children(True))]
    return next(pid for pid in below if (cache.resolve() / "boxes" / str(pid)).exists())


def running(judge: int, box: Path) -> set[int]:
    """The processes below a judge, and those that work in a folder of its boxes."""
    found = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        found = {process.pid for process in psutil.Process(judge).children(recursive=True)}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd").startswith(str(box)):
                found.add(int(entry.name))
    return found


def isolation(level: str) -> list[str]:
    """The judge's options for a level."""
    return [f"--isolation={level}"] if level != "N" else []


def container(level: str) -> list[str]:
    """The launcher of a place without user namespaces, for the level that is made for it."""
    return [sys.executable, str(TARGET.parent / "tests" / "target" / "container.py")] if level == "L" else []
