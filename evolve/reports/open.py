"""Opens a run for reading."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from evolve.config import ConfigError
from evolve.history import History
from evolve.model import Candidate, Objective
from evolve.search import ParetoSearch
from evolve.store import FILE, Event, Store, StoreError


def find_run(run_dir: str | None) -> Path:
    """The given run directory, or the one under `runs/` that was written last. Raises `ConfigError` without any."""
    if run_dir:
        return Path(run_dir)
    runs = sorted(Path("runs").glob(f"*/{FILE}"), key=_written, reverse=True)
    found = next((path.parent for path in runs if _begun(path.parent)), None)
    if found is None:
        raise ConfigError("no run under runs/. Start one with: python -m evolve, or name one with --run-dir.")
    return found


def _begun(directory: Path) -> bool:
    """Whether anything is recorded, as nothing is of a run whose judge did not start; of a damaged log all may be."""
    try:
        with closing(Store.read(directory)) as store:
            return next(store.events(), None) is not None
    except StoreError:
        return True


def _written(path: Path) -> float:
    """When a log was last written: the newest events are in SQLite's write-ahead log until it is checkpointed."""
    ahead = path.with_name(f"{path.name}-wal")
    return max(p.stat().st_mtime for p in (path, ahead) if p.exists())


def open_history(directory: Path) -> History:
    """Everything that the log of a run says, also while it is written. Raises `StoreError` or `ConfigError`."""
    return history_of(read_events(directory))


def read_events(directory: Path) -> list[Event]:
    """All that was written so far, at least the first event. Raises `StoreError` or `ConfigError`."""
    store = Store.read(directory)
    try:
        events = list(store.events())
    finally:
        store.close()
    if not events:
        raise ConfigError(f"the run in {directory} has not begun: nothing is recorded yet")
    return events


def history_of(events: Sequence[Event]) -> History:
    """A history that has seen the events of a run from the first one on, and may be applied further ones.

    Raises `StoreError` if they make no sense.
    """
    header = events[0].body
    try:
        objectives = [Objective(**o) for o in header["objectives"]]
        settings = header["settings"]
        history = History(ParetoSearch(objectives, settings["population"], {}, settings["seed"]))
    except (LookupError, TypeError) as error:
        raise StoreError(
            f"the first event ({events[0].kind}) is not that of a run ({type(error).__name__}: {error}): "
            f"{FILE} is damaged, or of another version. Restore it from a copy, or choose another --run-dir."
        ) from error
    history.replay(events)
    return history


def find_program(history: History, name: str) -> Candidate:
    """As `find_candidate`, for what needs its text. Raises `ConfigError` for a child that was never made."""
    candidate = find_candidate(history, name)
    if candidate.verdict == "rejected":
        raise ConfigError(f"candidate {name} has no program: it was refused ({candidate.reason})")
    return candidate


def find_candidate(history: History, name: str) -> Candidate:
    """A candidate by its id, by "seed", or by "best": the first of the front. Raises `ConfigError` without it.

    Without a front there is no best one: the seed program is on it from the moment it is measured.
    """
    if name == "best":
        if not history.front:
            raise ConfigError("no candidate 'best': nobody is on the front. `front` says how far the run is.")
        return history.front[0]
    candidate = history.candidates.get("0" if name == "seed" else name)
    if candidate is None and name.isdecimal() and int(name) in history.matings:
        raise ConfigError(f"candidate {name} {_unfinished(history)}")
    if candidate is None:
        known = ", ".join(c.id for c in history.front) or "none yet"
        raise ConfigError(
            f"no candidate {name!r}: ids are 0 (the seed) to {len(history.matings)}; on the front: {known}"
        )
    return candidate


def _unfinished(history: History) -> str:
    """What is to be done about a candidate that was asked for and not told yet."""
    if history.stopped:
        return "was left unfinished when the run stopped: `resume` goes on with it"
    return "is not finished: try again later, or, if `front` does not say that the run is on, `resume` goes on with it"
