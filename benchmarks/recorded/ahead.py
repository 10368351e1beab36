"""Programs of a design, made ahead in other processes: many slots train faster than one process makes programs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

from benchmarks.recorded.rows import Design, Program

SLOTS_OF_ONE = 8  # that one process makes enough for; with fewer this one does it
Programs = Iterator[tuple[int, Program]]
_design: list[Design] = []  # of a process that makes programs


@contextmanager
def makers(design: Design, slots: int) -> Iterator[Callable[[Iterable[int]], Programs]]:
    """A function from indices to their programs, in order. The processes end with this one, however it ends."""
    count = slots // SLOTS_OF_ONE
    if not count:
        yield lambda indices: ((index, design.program(index)) for index in indices)
        return
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=_begin, initargs=(design,)) as pool:
        try:
            yield lambda indices: _made(pool, indices, 2 * count)
        finally:
            pool.shutdown(cancel_futures=True)


def _made(pool: ProcessPoolExecutor, indices: Iterable[int], ahead: int) -> Programs:
    """With as many `ahead`, made or in the making, as are likely to be asked for next."""
    ready: deque[tuple[int, Future[Program]]] = deque()
    for index in indices:
        ready.append((index, pool.submit(_program, index)))
        if len(ready) > ahead:
            first, program = ready.popleft()
            yield first, program.result()
    for index, program in ready:
        yield index, program.result()


def _begin(design: Design) -> None:
    _design.append(design)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
    os._exit(0)


def _program(index: int) -> Program:
    return _design[0].program(index)
