"""Under which isolation and with which versions a run measures, and whether another process may go on with it.

A process is described by its session event: what its first judge said of itself, with the options that it was given.
Losses that were measured under other conditions cannot be compared, and no program runs with less isolation than the
run began with, unless a person says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evolve.config import ConfigError

LEVELS = ("none", "U", "L", "N")  # each isolates more than those before it
ASKED = ("auto", "N", "L", "U")  # what may be asked of a judge: at most that
UNISOLATED = "measured without isolation"
Session = Mapping[str, Any]


def options_of(isolation: str, unsafe: bool) -> list[str]:
    """The options of a judge; those that ask for nothing special are left out, so that any judge will do."""
    return [*(["--isolation", isolation] if isolation != "auto" else []), *(["--unsafe-no-sandbox"] if unsafe else [])]


def is_unisolated(session: Session) -> bool:
    """Whether programs ran with the user's rights: that was allowed, and the judge does not say that it isolated."""
    return bool(session.get("unsafe")) and session.get("level", "none") == "none"


def rank(session: Session) -> int:
    """Where a process stands among the levels; above all of them if it does not say where."""
    level = session.get("level", "none" if session.get("unsafe") else None)
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def isolates_less(session: Session, than: Session) -> bool:
    """Whether a process isolates less than another one; never if one of them does not say where it stands."""
    return rank(session) < rank(than) < len(LEVELS)


def weakness(began: Session, weakest: Session) -> str:
    """What every report of a run says of the process that isolated least; "" if none did less than the first one."""
    if is_unisolated(weakest):
        return UNISOLATED
    if isolates_less(weakest, began):
        return f"measured in part at isolation level {weakest['level']}, begun at {began['level']}"
    return ""


def check_isolation(began: Session, now: Session) -> None:
    """Raises `ConfigError` if a process isolates less than the first one of the run, which nobody allowed."""
    before, level, asked = began.get("level"), now.get("level"), now.get("asked", "auto")
    if now.get("unsafe") or not isolates_less(now, began):
        return
    cure = "Bring back what is missing (python -m evolve doctor says what there is)"
    raise ConfigError(
        f"this run began at isolation level {before}, and here there is only {level} ({now.get('isolation')}). Nothing "
        f"was run. {cure if asked == 'auto' else f'Leave out --isolation {asked}'}, or pass --unsafe-no-sandbox to go "
        "on with less, which every report will say."
    )


def check_versions(began: Session, now: Session) -> None:
    """Raises `ConfigError` if scores of this process could not be compared with those of the first one.

    Torch, the minor version of Python and that of numpy have to be the same; patches of the latter two change no score.
    """
    before, here = (_scoring(session.get("versions") or {}) for session in (began, now))
    changed = [
        f"{name} was {before[name]}, now {here[name]}"
        for name in before
        if here.get(name, before[name]) != before[name]
    ]
    if changed:
        raise ConfigError(
            f"{'; '.join(changed)}: scores are not compared across versions. Go back to the versions that the run "
            "began with, or start anew with another --run-dir."
        )


def _scoring(versions: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the versions that a score may depend on."""
    kept = {name: str(versions[name]) for name in ("torch", "python", "numpy") if name in versions}
    return {name: said if name == "torch" else _minor(said) for name, said in kept.items()}


def _minor(version: str) -> str:
    found = re.match(r"\d+\.\d+", version)
    return found[0] if found else version
