"""What is said of a device from its name and of steps from readings of a clock."""

from __future__ import annotations

import pytest

from telemetry import mfu_reported, peak_of, step_seconds


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [("NVIDIA H200", 989), ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA A100-SXM4-80GB", 312)],
)
def test_the_peak_of_a_device_is_known_by_its_name(name: str, teraflops: float) -> None:
    assert peak_of(name) == teraflops * 1e12


@pytest.mark.parametrize(
    "name",
    ["NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4090 D", "AMD"],
)
def test_of_a_part_or_kin_of_a_known_device_no_peak_is_made_up(name: str) -> None:
    assert peak_of(name) is None


def test_utilisation_is_six_flops_a_parameter_and_token_over_the_peak() -> None:
    measured = {"parameters": 33e6, "tokens_per_second": 2e6}
    assert mfu_reported("NVIDIA H200", measured) == {"mfu_reported": pytest.approx(0.400, abs=0.001)}
    assert mfu_reported("unheard of", measured) == mfu_reported("NVIDIA H200", {"tokens_per_second": 2e6}) == {}


def test_a_typical_step_is_neither_the_slow_one_nor_the_one_that_was_only_asked_for() -> None:
    assert step_seconds([]) == step_seconds([0.0]) == 0.0
    assert step_seconds([0.0, 1.0, 2.0, 9.0]) == 1.0
    ahead = [0.01 * i + 0.9 * (i // 10) for i in range(400)]  # nine steps are asked for at once, then one waits
    assert step_seconds([*ahead, ahead[-1] + 50.0]) == pytest.approx(0.1, rel=0.15)
