"""The red team attacks the same judge at the CPU scale that the target's tests drive, with one prepared corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.target.conftest import Slot


@pytest.fixture(scope="session")
def judge(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    """A judge for scripts that are only scored: honest ones and public cheats."""
    slot = Slot(cache, tmp_path_factory.mktemp("job"), "--patience", "20")
    yield slot
    assert slot.close() == 0
