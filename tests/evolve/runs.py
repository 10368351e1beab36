"""Runs on the toy target: to their end, cut off, read again; and histories that were only told their candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.loop import Loop
from evolve.model import Candidate, Outcome, Trial
from evolve.store import Event, Store
from tests.evolve import toy


def run(
    directory: Path,
    generations: int,
    function: Callable[[Trial], Outcome] = toy.run_trial,
    seed: int = 0,
    **limits: float,
) -> tuple[str, Loop]:
    """New or continued, until it ends: why, and the loop, whose store is closed."""
    executor = InlineExecutor(function)
    loop = toy.make_loop(directory, generations, executor, seed, **limits)
    try:
        return loop.run(toy.SEED), loop
    finally:
        executor.close()
        loop.store.close()


def replayed(directory: Path, seed: int = 0) -> History:
    """What the log says."""
    store = Store.read(directory)
    history = toy.new_history(seed)
    history.replay(store.events())
    store.close()
    return history


def told(*candidates: Candidate) -> History:
    """A run of which nothing is known but these."""
    history = toy.new_history()
    history.header = {"settings": {"budget": 1.0, "offspring": 4, "seed": 0}, "rungs": [0.25, 0.5, 1.0]}
    for candidate in candidates:
        history.search.tell(candidate)
    return history


class Cut(BaseException):
    """What a kill looks like from inside: nothing after it runs."""


@contextmanager
def cut_off(after: int, before: Callable[[int], None] = lambda count: None) -> Iterator[None]:
    """Whatever runs in it is cut off after so many events; `before` is called with the number of each."""
    original, count = Store.append, 0

    def append(store: Store, kind: str, key: str, body: dict[str, object]) -> Event:
        nonlocal count
        count += 1
        if count > after:
            raise Cut
        before(count)
        return original(store, kind, key, body)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):
        patch.setattr(Store, "append", append)
        yield
