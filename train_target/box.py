"""The inside of a box: shuts the doors of the calling process, then reads and runs a candidate.

Runs in a child of the zygote. The judge's socket and the log are all that it keeps; what it reports to the judge is
taken for the candidate's own words.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
import types
from pathlib import Path

from landlockpy import Ruleset

import sandbox
import seccomp

SCRIPT = "train.py"
CACHE = "tmp/inductor"  # of what is compiled: below the present folder, so that a copy of it serves another box


def enter(sock: int, log: int, folder: Path, memory_mb: int, ruleset: Ruleset | None, level: str = "L") -> None:
    """Isolate this process for good: session, descriptors, limits, environment, privileges, files, system calls.

    `level` is one of the ladder's (ladder.py) or "none". Raises OSError where a door cannot be shut.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process with several threads cannot be isolated: Landlock binds only one of them")
    os.setsid()
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    rules = ruleset.fileno() if ruleset else -1
    kept = sorted({sock, rules} - {-1})
    for low, high in zip([2, *kept], [*kept, os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(low + 1, high)
    sys.stdout.reconfigure(line_buffering=True)
    temporary = folder / "tmp"
    os.environ.clear()
    os.environ.update(
        HOME=str(folder),
        TMPDIR=str(temporary),
        USER="box",
        LANG="C.UTF-8",
        OMP_NUM_THREADS="1",
        PATH="/usr/local/bin:/usr/bin:/bin",
        TORCHINDUCTOR_CACHE_DIR=CACHE,
        TORCHINDUCTOR_COMPILE_THREADS="1",  # in the process: a pool would be shared with a fork of the box
        EVOLVE_BOX_FD=str(sock),
    )
    tempfile.tempdir = None  # forget what was found before the environment changed
    os.chdir(folder)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # whom the kernel takes first where memory is short
    sandbox.limit(memory_mb)
    client = importlib.import_module("prepare")  # says hello to the judge and sets the seed
    ours = {str(Path(str(part)).resolve().parent) for part in (__file__, client.__file__)}
    sys.path[:] = [entry for entry in sys.path if entry not in ours]
    sandbox.drop_capabilities([folder, temporary, folder / SCRIPT] if level == "U" else None)
    if ruleset:
        ruleset.restrict()
        ruleset.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whatever was inherited: ignored children would not be charged
    sandbox.prctl(sandbox.PR_SET_CHILD_SUBREAPER, 1)  # so that orphans stay below the process that is charged
    sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
    if level != "none":
        seccomp.install()


def run(sock: int, folder: Path) -> int:
    """Read the candidate and run it as `__main__`. Returns the exit code; what went wrong is told to the judge."""
    script = folder / SCRIPT
    module = types.ModuleType("__main__")
    module.__file__ = str(script)
    sys.modules["__main__"] = module
    sys.argv = [str(script)]
    try:
        source = script.read_bytes()
        code = compile(source, str(script), "exec", dont_inherit=True)
    except (RecursionError, MemoryError) as error:
        return _tell(sock, "rejected", f"{type(error).__name__}: nested too deeply to be compiled")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f" at line {line}" if line else ""
        return _tell(sock, "rejected", f"{type(error).__name__}{place}: {error}")
    try:
        builtins.exec(code, module.__dict__)
    except SystemExit as stop:
        return 0 if stop.code in (None, 0) else _tell(sock, "crashed", f"SystemExit: {stop.code}")
    except BaseException as error:  # the boundary: whatever a candidate raises ends its run, with a reason
        traceback.print_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        return _tell(sock, _status(error), _reason(error, str(script)))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _reason(error: BaseException, script: str) -> str:
    """Class, line in the script and the first 300 characters of the message, in one line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == script]
    place = f" at line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{place}: {' '.join(str(error).split())[:300]}"


def _status(error: BaseException) -> str:
    text = str(error)
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return "oom" if out_of_memory or "allocate memory" in text or "CUDA out of memory" in text else "crashed"


def _tell(sock: int, status: str, reason: str) -> int:
    """Returns the exit code, once the judge has answered: until then it looks at the memory that is in use here."""
    message = json.dumps({"op": "crash", "status": status, "reason": reason}).encode() + b"\n"
    with contextlib.suppress(OSError):  # the judge has gone, and with it whoever wanted to know
        os.write(sock, message)
        os.read(sock, 1)
    return 1
