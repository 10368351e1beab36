"""What a device did while a program trained on it: its clock, its power, whether it was held back, and its use.

Energy, clocks and reasons are the driver's. The share of the device's arithmetic that was used is reckoned from the
number of parameters, which is the program's own word, so its name says "reported"; like tokens per second it can be
raised by a program that does not learn, so neither is ever the only objective of a search.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

import numpy as np

PEAKS = {  # dense bf16 FLOP/s without sparsity, from NVIDIA's data sheets, by a pattern of the driver's whole name
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    r"H100( 80GB HBM3)?": 989e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "B200": 2250e12,
    r"A100-(SXM4?|PCIE)-\d+GB|A100 80GB PCIe": 312e12,
    "L40S": 362e12,
    "GeForce RTX 4090": 165e12,
}
GROUPS = 20  # of steps, of whose means the median is taken: a host that runs ahead of its device asks unevenly


@dataclass(frozen=True)
class State:
    """One look at a device: energy since the driver was loaded in joules, clock of its cores in MHz, what limits it.

    Held back is what heat or a fault of the supply does; an idle device and a clock that was chosen are not, nor is one
    at its power cap, where busy ones of the larger kinds always are.
    """

    joules: float | None
    sm_mhz: float
    held_back: bool
    power_capped: bool


@dataclass
class Telemetry:
    """Looks at a device during the training of one trial."""

    _states: list[tuple[float, State]] = field(default_factory=list)

    def note(self, state: State) -> None:
        self._states.append((time.monotonic(), state))

    def metrics(self, charged: float) -> dict[str, float]:
        """Clocks, shares of looks at which it was held back or at its power cap, watts, joules of `charged` seconds.

        {} without looks.
        """
        if not self._states:
            return {}
        clocks = [state.sm_mhz for _, state in self._states]
        found = {
            "sm_mhz_min": min(clocks),
            "sm_mhz_median": median(clocks),
            "throttled_share": fmean(state.held_back for _, state in self._states),
            "power_capped_share": fmean(state.power_capped for _, state in self._states),
        }
        (began, first), (ended, last) = self._states[0], self._states[-1]
        if first.joules is not None and last.joules is not None and ended > began:
            watts = (last.joules - first.joules) / (ended - began)
            found |= {"watts": watts, "joules": watts * charged}
        return found


def peak_of(device: str) -> float | None:
    """Peak FLOP/s of a device by its name, None where it is not in the table: of a part of one (MIG), or of a kin."""
    name = device.removeprefix("NVIDIA ")
    return next((peak for pattern, peak in PEAKS.items() if re.fullmatch(pattern, name)), None)


def mfu_reported(device: str, metrics: dict[str, float]) -> dict[str, float]:
    """Model FLOPs utilisation: 6 FLOPs a parameter and token (Kaplan et al. 2020), over the device's peak.

    Attention is left out, and embeddings that no product uses are counted in. {} where the peak or the number of
    parameters is not known.
    """
    peak = peak_of(device)
    if peak is None or "parameters" not in metrics:
        return {}
    return {"mfu_reported": 6 * metrics["parameters"] * metrics["tokens_per_second"] / peak}


def step_seconds(readings: Sequence[float]) -> float:
    """Typical seconds of a step, given the clock's reading at each batch: the median over means of equal groups.

    0 for fewer than two readings.
    """
    if len(readings) < 2:
        return 0.0
    stride = max(1, (len(readings) - 1) // GROUPS)
    return float(np.median(np.diff(np.asarray(readings)[::stride]))) / stride
