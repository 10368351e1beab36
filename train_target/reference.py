"""How fast a core is right now: the CPU time of a fixed piece of arithmetic, and a clock that takes it into account.

The speed of a core on a shared machine changes within a second by half and more, so CPU-seconds are no measure of
work. `SteadyClock` times the fixed work every tenth of a second, between two steps of the box on the same core, and
charges seconds of a core at nominal speed. Measured on a busy two-core machine in blocks of 30 training steps, the
cost of a step scattered by 12 % in CPU-seconds and by 2 % in these.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from clock import Clock

NOMINAL_MS = 2.9  # the fixed work at nominal speed: this defines the second that is charged
EVERY = 0.1  # CPU-seconds of the box between two timings
WINDOW = 8  # timings that are averaged

_generator = np.random.default_rng(0)
_square = _generator.standard_normal((192, 192), dtype=np.float32)
_vector = _generator.standard_normal(60_000, dtype=np.float32)
_tall = _generator.standard_normal((2048, 64), dtype=np.float32)
_wide = _generator.standard_normal((64, 256), dtype=np.float32)
_hidden = np.empty((2048, 256), dtype=np.float32)


def measure() -> float:
    """Milliseconds of CPU time of the fixed work: products of the sizes of a small network, and elementwise functions.

    A first, untimed share brings code and data back into the caches.
    """
    _work(1)
    start = time.thread_time()
    _work(2)
    return 1000 * (time.thread_time() - start)


def _work(times: int) -> None:
    for _ in range(times):
        _ = _square @ _square
        np.exp(_vector)
    np.matmul(_tall, _wide, out=_hidden)
    np.maximum(_hidden, 0, out=_hidden)
    _ = _hidden @ _wide.T


class SteadyClock:
    """The seconds of another clock, each weighted with the core's speed while it passed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent = deque((measure() for _ in range(WINDOW // 2)), maxlen=WINDOW)
        self.timings: list[float] = list(self._recent)
        self._last = self._sampled = clock.read(exact=True)
        self._charged = 0.0

    def read(self, exact: bool = False) -> float:
        now = self._clock.read(exact)
        if now - self._sampled >= EVERY:
            self._sampled = now
            self._recent.append(measure())
            self.timings.append(self._recent[-1])
        self._charged += (now - self._last) * NOMINAL_MS * len(self._recent) / sum(self._recent)
        self._last = now
        return self._charged
