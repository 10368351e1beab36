"""A judge at a scale with other values than target.toml gives it. Never an option of the judge itself.

    python tests/redteam/judge_at.py --set=device=cuda --set=clock=wall --scale=cpu --cache=DIR

Besides the keys of a scale, `startup_wall` is set: the seconds that a script has before its clock starts.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "train_target"))

import session  # noqa: E402
from texts import Scale  # noqa: E402


def change(values: dict[str, str]) -> None:
    """From now on every scale has these values."""
    plain = Scale.read
    if wall := values.pop("startup_wall", ""):
        session.STARTUP_WALL = float(wall)
    kinds = {name: type(value) for name, value in vars(plain("cpu")).items()}
    given = {name: kinds[name](value) for name, value in values.items()}
    Scale.read = staticmethod(lambda name: replace(plain(name), **given))  # type: ignore[assignment]


def main() -> None:
    given = [part.removeprefix("--set=") for part in sys.argv if part.startswith("--set=")]
    sys.argv[:] = [part for part in sys.argv if not part.startswith("--set=")]
    change(dict(part.split("=", 1) for part in given))  # type: ignore[arg-type]
    import judge

    judge.main()


if __name__ == "__main__":
    main()
