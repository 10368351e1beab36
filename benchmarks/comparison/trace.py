"""What a run of a method on a task leaves for the report: JSON at DIR/<task>/<method>/seed<k>/trace.json."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from evolve.config import ConfigError

FILE = "trace.json"


@dataclass(frozen=True)
class Point:
    """One finished trial or candidate, in order of time.

    `charged` device-seconds and `wall` seconds are those of the run until then, failures and waiting for a model
    included. `values` are the objectives as claimed then, none where there are none; `confirmed` after several seeds.
    """

    charged: float
    wall: float
    candidate: str
    status: str  # ok, failed, duplicate, quarantined ...
    values: dict[str, float]
    confirmed: bool


@dataclass(frozen=True)
class Retrained:
    """A member of the final front on fresh seeds: for each metric one number a seed."""

    candidate: str
    metrics: dict[str, list[float]]


@dataclass(frozen=True)
class Trace:
    """A run. `total` is the charged device-seconds that it was given, `latency` the wall seconds spent on a model."""

    method: str
    task: str
    seed: int
    total: float
    points: tuple[Point, ...]
    retrained: tuple[Retrained, ...]
    trials: int
    failures: int
    tokens: int
    usd: float
    latency: float


def place(directory: Path, trace: Trace) -> Path:
    """Where a run's trace is, in the directory of all runs."""
    return directory / trace.task / trace.method / f"seed{trace.seed}" / FILE


def write(trace: Trace, path: Path) -> None:
    """All of it or nothing: whoever reads meanwhile, or after a kill, finds a whole file. Makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(trace), allow_nan=False), encoding="utf-8")
    os.replace(part, path)


def read(path: Path) -> Trace:
    """Raises `ConfigError` if the file cannot be read or is no trace."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        points = tuple(Point(**point) for point in found.pop("points"))
        retrained = tuple(Retrained(**member) for member in found.pop("retrained"))
        return Trace(points=points, retrained=retrained, **found)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} is not the trace of a run ({error}); remove it, and run it again") from error


def traces(directory: Path) -> Iterator[Trace]:
    """Those of all finished runs in a directory, by task, method and seed. Raises `ConfigError` as `read` does."""
    return (read(path) for path in sorted(directory.glob(f"*/*/seed*/{FILE}")))
