"""What holds for every test: one thread for a tensor operation, the same few examples for properties, two workers,
and one cache in which the target's text is prepared once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported; threads of several processes only hinder each other

settings.register_profile("suite", max_examples=15, deadline=None, derandomize=True)
settings.load_profile("suite")

WITH_JUDGES = tuple(
    f"tests/{place}"
    for place in ("target", "digits", "redteam", "e2e/test_cli.py", "e2e/test_audit.py", "benchmarks/test_real.py")
)
TIMELESS = tuple(  # of these, where nothing is looked at that depends on how fast the machine is
    f"tests/target/test_{name}.py"
    for name in ("bpe", "compiled", "corpus", "device_trials", "selftest", "sharing", "sources", "waiting")
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Scheduling(LoadScopeScheduling):
    """A worker runs whole files, and one runs all those with real judges and clocks, which would disturb each other."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "judges" if file.startswith(WITH_JUDGES) and file not in TIMELESS else file


def pytest_xdist_make_scheduler(config: Any, log: Any) -> Scheduling:
    return Scheduling(config, log)
