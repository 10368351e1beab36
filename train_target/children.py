"""What a box has left behind, killed to the last by the process above it, which orphans are handed to."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def sweep() -> int:
    """Kill all children, which orphans of theirs become in turn, until none is left; returns how many there were."""
    killed = 0
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while found := children.read_text().split():
        for pid in map(int, found):
            os.kill(pid, signal.SIGKILL)
        for pid in map(int, found):
            os.waitpid(pid, 0)
            killed += 1
    return killed
