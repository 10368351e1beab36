"""What holds for every test: one thread for a tensor operation, and property tests that draw the same few examples."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported; threads of several processes only hinder each other

settings.register_profile("suite", max_examples=15, deadline=None, derandomize=True)
settings.load_profile("suite")
