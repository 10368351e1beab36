"""What nvidia-smi tells of a GPU: the memory in use, and the settings that no program may change. Only ever asks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from xml.etree import ElementTree

SETTINGS = re.compile(
    r"(^|/)(persistence_mode|compute_mode|accounting_mode|driver_model|gpu_operation_mode|gpu_virtualization_mode|"
    r"mig_mode|ecc_mode|applications_clocks|default_applications_clocks|deferred_clocks|max_clocks|"
    r"max_customer_boost_clocks)(/|$)|power_limit$"
)


class CardError(Exception):
    """nvidia-smi is not there or does not answer."""


def nvidia_smi(arguments: Sequence[str]) -> str:
    try:
        return subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CardError(f"nvidia-smi does not answer: {error}") from error


class Card:
    """One GPU by its index or UUID. Raises CardError where it cannot be asked."""

    def __init__(self, wanted: str = "0", run: Callable[[Sequence[str]], str] = nvidia_smi) -> None:
        self._wanted, self._run = wanted, run
        self.name = self._ask("name")

    def _ask(self, field: str) -> str:
        return self._run(["-i", self._wanted, f"--query-gpu={field}", "--format=csv,noheader,nounits"]).strip()

    def used_mb(self) -> float:
        """MiB of its memory that are in use."""
        text = self._ask("memory.used")
        try:
            return float(text)
        except ValueError as error:
            raise CardError(f"nvidia-smi says of the memory in use: {text[:80]!r}") from error

    def settings(self) -> dict[str, str]:
        """Its modes, limits of power and clocks that were set, by their place in what `nvidia-smi -q -x` prints."""
        try:
            tree = ElementTree.fromstring(self._run(["-i", self._wanted, "-q", "-x"]))
        except ElementTree.ParseError as error:
            raise CardError(f"nvidia-smi -q -x cannot be read: {error}") from error
        if (gpu := tree.find("gpu")) is None:
            raise CardError("nvidia-smi -q -x names no GPU")
        return {place: text for place, text in _leaves(gpu, "") if SETTINGS.search(place)}


def _leaves(element: ElementTree.Element, place: str) -> Iterator[tuple[str, str]]:
    for child in element:
        below = f"{place}/{child.tag}".lstrip("/")
        if len(child):
            yield from _leaves(child, below)
        else:
            yield below, (child.text or "").strip()


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """In words, what differs between two looks at the settings."""
    return [
        f"{place} is {after.get(place, 'not told')} instead of {before.get(place, 'not told')}"
        for place in sorted(before.keys() | after.keys())
        if before.get(place) != after.get(place)
    ]
