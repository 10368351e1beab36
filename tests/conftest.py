"""What holds for every test: one thread for a tensor operation, the same few examples for properties, two workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported; threads of several processes only hinder each other

settings.register_profile("suite", max_examples=15, deadline=None, derandomize=True)
settings.load_profile("suite")

HERE = Path(__file__).parent
WITH_JUDGES = ("target", "redteam", "e2e/test_cli.py", "e2e/test_audit.py")  # they pin real trainings to a core


@pytest.hookimpl(tryfirst=True)  # xdist looks at the groups in this hook too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests with real judges, which would disturb each other; a file is never divided."""
    for item in items:
        file = item.path.relative_to(HERE).as_posix()
        judged = file.startswith(WITH_JUDGES)
        item.add_marker(pytest.mark.xdist_group("judges" if judged else file))
