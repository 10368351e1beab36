"""A judge at the CPU scale, driven over its wire as the engine does: one for all modules, since it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.target.slot import SCORE, TARGET, TINY, TRAIN, Slot

__all__ = ["SCORE", "TARGET", "TINY", "TRAIN", "Slot"]


@pytest.fixture(scope="session")
def slot(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    slot = Slot(cache, tmp_path_factory.mktemp("job"), "--patience", "3")
    yield slot
    assert slot.close() == 0
