"""Attacks on a GPU, where there is one; and elsewhere, that the laboratory for them sees what it is to see."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import session
from tests.redteam import gpu_laboratory, gpu_table
from tests.redteam.attacks import Program, programs
from tests.redteam.card import Card, CardError, changed
from tests.redteam.gpu_laboratory import SMALL, GpuLaboratory, GpuReport
from tests.redteam.judge_at import change
from texts import Scale

pytestmark = pytest.mark.slow
needs_gpu = pytest.mark.skipif(
    not Path("/dev/nvidiactl").exists(), reason="needs an NVIDIA GPU and its driver: no /dev/nvidiactl here"
)
BY_JUDGE = sorted(programs(gpu=True), key=lambda program: program["judge"])


@pytest.fixture(scope="module")
def laboratories(cache: Path) -> Iterator[dict[str, GpuLaboratory]]:
    """By the values that programs ask of a judge; one at a time."""
    open_: dict[str, GpuLaboratory] = {}
    yield open_
    for laboratory in open_.values():
        laboratory.close()


@needs_gpu
@pytest.mark.parametrize("program", BY_JUDGE, ids=lambda program: program.name)
def test_attack_on_a_gpu(laboratories: dict[str, GpuLaboratory], cache: Path, program: Program) -> None:
    if program["judge"] not in laboratories:
        for laboratory in laboratories.values():
            laboratory.close()
        laboratories.clear()
        values = SMALL | dict(part.split("=", 1) for part in program["judge"].split())
        laboratories[program["judge"]] = GpuLaboratory(cache, Card(), values, "cpu")
    report = laboratories[program["judge"]].attack(program)
    assert (report.faults, report.harms) == ([], []), (report.outcome, report.log)


class MadeUpCard:
    """A card with a leak of so many MiB from the first trial on, and a setting."""

    name = "Made-up GPU"

    def __init__(self) -> None:
        self.used, self.mode = 0.0, "Default"

    def used_mb(self) -> float:
        return self.used

    def settings(self) -> dict[str, str]:
        return {"compute_mode": self.mode}


@pytest.fixture(scope="module")
def card() -> MadeUpCard:
    return MadeUpCard()


@pytest.fixture(scope="module")
def laboratory(cache: Path, card: MadeUpCard) -> Iterator[GpuLaboratory]:
    laboratory = GpuLaboratory(cache, card, {"memory_mb": "900"}, "cpu")
    yield laboratory
    laboratory.close()


def attack(laboratory: GpuLaboratory, folder: Path, *lines: str) -> GpuReport:
    path = folder / "attack.py"
    path.write_text("\n".join(lines) + "\n")
    return laboratory.attack(Program(path))


def test_an_attack_that_was_tried_and_ends_as_it_has_to_is_as_expected(
    laboratory: GpuLaboratory, tmp_path: Path
) -> None:
    lines = "# expects: crashed", "# reason: exit code 3", "# says: TRIED", "# harmful: FOUND [1-9]"
    tried = "print('TRIED, FOUND 0', flush=True)", "import os; os._exit(3)"
    report = attack(laboratory, tmp_path, *lines, *tried)
    assert (report.faults, report.harms) == ([], []), report


def test_an_attack_that_was_not_tried_and_one_that_found_something_are_told(
    laboratory: GpuLaboratory, tmp_path: Path
) -> None:
    lines = "# expects: ok", "# says: TRIED", "# harmful: FOUND [1-9]"
    report = attack(laboratory, tmp_path, *lines, "print('FOUND 7 words')")
    assert report.harms == ["it found: FOUND 7 words"]
    assert report.faults[0] == "status 'crashed' instead of 'ok'" and "it was not tried" in report.faults[-1]


def test_memory_that_stays_and_settings_that_changed_are_harm(
    laboratory: GpuLaboratory, card: MadeUpCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_laboratory, "RETURN_WALL", 0.1)
    card.used, card.mode = 9000.0, "Prohibited"
    report = attack(laboratory, tmp_path, "# expects: crashed", "import time; time.sleep(0.6)")
    card.used, card.mode = 0.0, "Default"
    assert report.peak_mb == 9000
    assert report.harms == [
        "9,000 MiB of the device stay in use",
        "compute_mode is Prohibited instead of Default",
    ]


def test_the_judge_has_the_values_that_a_program_asks_for(laboratory: GpuLaboratory, tmp_path: Path) -> None:
    """1.5 GB, which the scale would allow."""
    lines = "# expects: oom", "# reason: MemoryError|allocate memory", "kept = bytearray(1500 * 2**20)"
    report = attack(laboratory, tmp_path, *lines)
    assert (report.faults, report.harms) == ([], []), report


def test_keys_of_a_scale_and_the_wall_of_the_start_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session.STARTUP_WALL", session.STARTUP_WALL)
    monkeypatch.setattr(Scale, "read", Scale.read)
    change({"device_memory_mb": "8192", "device": "cuda", "startup_wall": "40"})
    scale = Scale.read("cpu")
    assert (scale.device, scale.device_memory_mb, scale.clock) == ("cuda", 8192, "cpu")
    assert session.STARTUP_WALL == 40
    with pytest.raises(KeyError, match="clocks"):
        change({"clocks": "wall"})


def test_a_row_that_fails_does_not_stop_the_others_and_all_are_written(
    laboratory: GpuLaboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laboratory, "close", lambda: None)
    for name, lines in (
        ("1_good", "# expects: crashed\n# row: 1\n# attempts: to | fail\n1 / 0\n"),
        ("2_bad", "# row: 2\n"),
    ):
        (tmp_path / f"{name}.py").write_text(lines)
    (tmp_path / "3_dear.py").write_text("# row: 3\n# judge: memory_mb=1\n# attempts: x\n")

    def start(judge: str) -> GpuLaboratory:
        if judge:
            raise RuntimeError("the judge is not ready: no such GPU")
        return laboratory

    chosen = [Program(path) for path in sorted(tmp_path.glob("*.py"))]
    rows = list(gpu_table.measure(chosen, start, float("inf")))
    assert [row.get("failed") for row in rows] == [None, None, "RuntimeError: the judge is not ready: no such GPU"]
    assert rows[0]["faults"] == [] and rows[1]["faults"] != []
    about = {"device": "Made-up GPU", "scale": "scale cpu", "command": "python", "changed": ["compute_mode is 3"]}
    gpu_table.write(tmp_path, about, rows)
    text = (tmp_path / "gpu.md").read_text()
    assert "1 of 3 as expected. Settings of the card that differ afterwards: compute_mode is 3." in text
    assert "`1_good`: to / fail | crashed: ZeroDivisionError at line 4" in text
    assert len(json.loads((tmp_path / "gpu.json").read_text())["rows"]) == 3
    late = list(gpu_table.measure(chosen, start, 0.0))
    assert [row["failed"] for row in late] == ["not run: the time was used"] * 3


PRINTED = """<?xml version="1.0" ?>
<nvidia_smi_log><driver_version>580</driver_version><gpu id="1"><persistence_mode>Enabled</persistence_mode>
<mig_mode><current_mig>Disabled</current_mig><pending_mig>Disabled</pending_mig></mig_mode>
<gpu_power_readings><power_draw>71.2 W</power_draw><current_power_limit>700.00 W</current_power_limit>
</gpu_power_readings><clocks><sm_clock>345 MHz</sm_clock></clocks>
<applications_clocks><graphics_clock>1980 MHz</graphics_clock>
</applications_clocks></gpu></nvidia_smi_log>"""


def answer(arguments: list[str]) -> str:
    assert arguments[:2] == ["-i", "GPU-a"]
    return PRINTED if "-q" in arguments else {"name": "Big GPU\n", "memory.used": "1234\n"}[arguments[2][12:]]


def test_settings_of_a_card_are_read_and_compared_and_what_moves_by_itself_is_none() -> None:
    card = Card("GPU-a", answer)
    assert card.name == "Big GPU" and card.used_mb() == 1234
    settings = card.settings()
    assert settings == {
        "persistence_mode": "Enabled",
        "mig_mode/current_mig": "Disabled",
        "mig_mode/pending_mig": "Disabled",
        "gpu_power_readings/current_power_limit": "700.00 W",
        "applications_clocks/graphics_clock": "1980 MHz",
    }
    assert changed(settings, settings) == []
    after = settings | {"persistence_mode": "Disabled"}
    assert changed(settings, after) == ["persistence_mode is Disabled instead of Enabled"]


@pytest.mark.parametrize("text", ["", "[N/A]\n"])
def test_a_card_that_cannot_be_asked_is_an_error_in_words(text: str) -> None:
    with pytest.raises(CardError, match="nvidia-smi says of the memory in use"):
        Card("0", lambda arguments: text).used_mb()
    with pytest.raises(CardError, match="cannot be read"):
        Card("0", lambda arguments: text).settings()


def test_the_table_says_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.redteam import table

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["table", "--gpu", "-o", str(tmp_path)])
    with pytest.raises(SystemExit, match="nvidia-smi does not answer"):
        table.main()
