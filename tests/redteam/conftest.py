"""The red team attacks the same judge at the CPU scale that the target's tests drive, with one prepared corpus."""

from __future__ import annotations

from tests.target.conftest import cache  # noqa: F401  a fixture, and the target on the path
