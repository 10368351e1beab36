"""A judge with named defences switched off, which shows what they are for. Never an option of the judge itself.

    python tests/redteam/weakened.py --off=landlock --off=mount --scale=cpu --core=0 --cache=DIR

The judge's modules are changed before its main function runs; its zygote is started by way of this file too, which
then changes the modules of the box. There is no self-test with any of them: a level that lacks a part fails it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
TARGET = HERE.parents[2] / "train_target"
sys.path[:0] = [str(TARGET), str(HERE.parent)]

import weak_score  # noqa: E402, F401  registers
from weak_isolation import BOX, JUDGE, sweep  # noqa: E402

PASSED = ("clean-zygote", "zygote-opens")  # the zygote is given the validation text: in memory, or as a descriptor


class Popen(subprocess.Popen):  # type: ignore[type-arg]
    """Starts the zygote by way of this file."""

    off: tuple[str, ...] = ()
    text: Path = Path()

    def __init__(self, command: list[str], **options: Any) -> None:
        script = next(i for i, part in enumerate(command) if part.endswith("zygote.py"))
        command[script : script + 1] = [str(HERE), f"--zygote={','.join(self.off)}"]
        if "--remount-ro" in command:
            at = command.index("--remount-ro")
            command[at:at] = ["--ro-bind", str(HERE.parent), str(HERE.parent)]
        if "environment" in self.off:
            options["env"] = os.environ | options["env"]
        if set(PASSED) & set(self.off):
            fd = os.open(self.text, os.O_RDONLY)
            options["pass_fds"] = (*options["pass_fds"], fd)
            options["env"] = options["env"] | {"REDTEAM_TEXT": str(fd)}
        super().__init__(command, **options)


def start_judge(off: tuple[str, ...]) -> None:
    import nursery
    import selftest

    selftest.begin = lambda start, isolation: selftest.Settled(isolation, start(isolation), "weakened")
    Popen.off = off
    cache = next(Path(part.partition("=")[2]) for part in sys.argv if part.startswith("--cache="))
    Popen.text = next((path / "val.bin" for path in cache.resolve().glob("sympy-*")), Path())
    nursery.subprocess = types.SimpleNamespace(Popen=Popen, DEVNULL=subprocess.DEVNULL)
    for name in off:
        if name in JUDGE:
            JUDGE[name]()
    import judge

    judge.main()


def start_zygote(off: tuple[str, ...]) -> None:
    import sandbox

    sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
    before = [name for name in off if name in BOX and name != "sweep"]
    for name in before:
        BOX[name]()
    shared_memory = sandbox.settle_in(sys.argv[4], Path(sys.argv[2]), list(map(Path, sys.argv[6:])))
    import zygote

    zygote.shared_memory = shared_memory
    if "sweep" in off:
        sweep()
    number = os.environ.pop("REDTEAM_TEXT", "")
    if "clean-zygote" in off:
        zygote.text = os.pread(int(number), 2**20, 0)
        os.close(int(number))
    zygote.main()


def main() -> None:
    kind, _, value = sys.argv[1].partition("=")
    if kind == "--zygote":
        del sys.argv[1]
        start_zygote(tuple(value.split(",")))
        return
    off = tuple(part.partition("=")[2] for part in sys.argv if part.startswith("--off="))
    sys.argv[:] = [part for part in sys.argv if not part.startswith("--off=")]
    unknown = set(off) - JUDGE.keys() - BOX.keys() - set(PASSED)
    if unknown:
        raise SystemExit(f"no such defence: {', '.join(sorted(unknown))}")
    start_judge(off)


if __name__ == "__main__":
    main()
