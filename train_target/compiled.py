"""The seed's compile cache, of which every box for a device begins with a copy; that of no other program is ever kept.

A cache that programs shared would carry what one of them has learnt to the next. The seed's is filled by the judge, in
a box of its own that runs nothing else, and each box has its own copy, which ends with the box.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import platform
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nursery import Infrastructure, remove
from terms import Terms
from texts import Scale
from waiting import Waiting
from wire import Message

if TYPE_CHECKING:
    from trials import Judge

FOLDER = Path(__file__).resolve().parent
SECONDS = 0.3  # for which the seed trains meanwhile
COMPILERS = ("torch", "triton")


def seed(scale: Scale, target: Path = FOLDER) -> bytes:
    """The seed program of a target with the constants of a scale."""
    about = tomllib.loads((target / "target.toml").read_text())
    text = (target / about["script"]).read_text()
    for name, value in about["scales"][scale.name].get("bindings", {}).items():
        text = re.sub(rf"^{name} = [^#\n]*?(?=\s*(#|$))", f"{name} = {value!r}", text, flags=re.MULTILINE)
    return text.encode()


def place(cache: Path, program: bytes, device: str) -> Path:
    """Where the cache of a seed program is kept: by program, compiler and device."""
    versions = []
    for package in COMPILERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    about = [program.decode(), *versions, platform.python_version(), device]
    return cache / "compiled" / hashlib.sha256("\0".join(about).encode()).hexdigest()[:16]


def fill(judge: Judge, folder: Path, program: bytes, say: Callable[[str], None]) -> None:
    """Fill `folder` by a short trial of `program`, unless it is there, and keep it if the program then begins with it.

    Where either fails, boxes begin without any, and `say` is told.
    """
    nursery = judge.nursery
    if folder.is_dir() or not isinstance(nursery, Waiting) or nursery.compiled is None:
        return
    say("compiling the seed program once, for all trials to start from")
    draft = nursery.parent / "compiled"
    terms = Terms(SECONDS, SECONDS / judge.scale.budget, 0, "smoke", judge.patience)
    nursery.kept, nursery.compiled = draft, draft
    try:
        reason = failure(judge.run(program, terms))
        nursery.kept = None
        if not reason and draft.is_dir():
            nursery.renew()
            reason = failure(judge.run(program, terms))
        if not reason and draft.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _keep(draft, folder)
    except (Infrastructure, OSError) as error:
        reason = str(error)
    finally:
        nursery.kept, nursery.compiled = None, folder
        remove(draft)
    if reason:
        say(f"nothing was kept of it ({reason}): trials compile everything themselves")
    nursery.renew()


def _keep(draft: Path, folder: Path) -> None:
    """Make `draft` the folder that is kept, unless another judge was faster. Raises OSError."""
    try:
        draft.rename(folder)
    except OSError:  # a folder that is not empty is in the way: ENOTEMPTY or EEXIST
        if not folder.is_dir():
            raise


def failure(outcome: Message) -> str:
    """Why a trial was not ok, or ""."""
    return "" if outcome["status"] == "ok" else f"{outcome['status']}: {outcome['reason']}"
