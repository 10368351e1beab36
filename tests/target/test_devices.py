"""What is said of a GPU, from what its driver tells: no GPU is needed, the driver is a stand-in with NVML's names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devices import Device, User, find, libraries, near, nodes, visible
from drivers import Nvml, Smi
from guard import Guard, out_of_memory
from nursery import Infrastructure
from texts import Scale
from trials import open_guard

GIB = 2**30


class Driver:
    """NVML of a machine with two GPUs, as the module `pynvml` shows it; `used` and `processes` are of the second."""

    class NVMLError(Exception):
        pass

    class NVMLError_Timeout(NVMLError):
        pass

    nvmlEventTypeXidCriticalError = 8
    NVML_CLOCK_SM = 1

    def __init__(self) -> None:
        self.clock, self.reasons, self.millijoules = 1980, 0, 0
        self.tells_energy = True
        self.used: list[int] = [0]
        self.processes: list[tuple[int, int]] = []
        self.faults: list[int] = []
        self.gone = False

    def answer(self, value: Any) -> Any:
        if self.gone:
            raise self.NVMLError("GPU is lost")
        return value

    def nvmlInit(self) -> None:
        self.answer(None)

    def nvmlDeviceGetCount(self) -> int:
        return self.answer(2)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return self.answer(index)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return self.answer(int(uuid[-1]))

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-abc{handle}"

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "Big GPU"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        self.answer(None)
        used = self.used.pop(0) if len(self.used) > 1 else self.used[0]
        return SimpleNamespace(total=80 * GIB, used=used if handle == 1 else 0)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.processes]

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        assert kind == self.NVML_CLOCK_SM
        return self.clock

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:
        return self.reasons

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        if not self.tells_energy:
            raise self.NVMLError("Not Supported")
        return self.millijoules

    def nvmlDeviceGetMinorNumber(self, handle: int) -> int:
        return 7 - handle

    def nvmlDeviceGetPciInfo(self, handle: int) -> Any:
        return SimpleNamespace(busId=f"00000000:0{handle}:00.0".encode())

    def nvmlEventSetCreate(self) -> str:
        return "events"

    def nvmlDeviceRegisterEvents(self, handle: int, kind: int, events: str) -> None:
        assert handle == 1 and kind == self.nvmlEventTypeXidCriticalError

    def nvmlEventSetWait_v2(self, events: str, milliseconds: int) -> Any:
        if not self.faults:
            raise self.NVMLError_Timeout
        return SimpleNamespace(eventData=self.faults.pop(0))


def guard(driver: Driver, probe: str = "", wait: float = 0.0) -> Guard:
    source = Nvml(driver)
    return Guard(source, find(source.devices(), "1"), {}, (sys.executable, "-I", "-c", probe), wait)


def test_device_is_found_by_index_or_uuid_and_a_wrong_one_is_told_which_there_are() -> None:
    source = Nvml(Driver())
    there = source.devices()
    assert find(there, "1") == find(there, "GPU-abc1") == Device(1, "GPU-abc1", "Big GPU", 80 * 1024)
    with pytest.raises(Infrastructure, match=r"no GPU 7; there are: 0 \(Big GPU, GPU-abc0\), 1 "):
        find(there, "7")
    with pytest.raises(Infrastructure, match=r"more than one GPU GPU-abc; there are: 0 "):
        find(there, "GPU-abc")


@pytest.mark.parametrize(
    ("named", "indices"),
    [
        (None, [0, 1]),
        ("1", [1]),
        ("1,0", [1, 0]),
        ("GPU-abc1, 0", [1, 0]),
        ("0,0", [0]),
        ("0,-1,1", [0]),
        ("1,,0", [1]),
    ],
)
def test_the_devices_of_this_process_are_those_that_its_environment_names(
    named: str | None, indices: list[int]
) -> None:
    assert [device.index for device in visible(Nvml(Driver()).devices(), named)] == indices


@pytest.mark.parametrize("named", ["", "-1", "NoDevFiles"])
def test_an_environment_that_names_no_device_is_told_from_a_machine_that_has_none(named: str) -> None:
    with pytest.raises(Infrastructure, match=rf"CUDA_VISIBLE_DEVICES='{named}' hides every GPU of this machine \(2\)"):
        visible(Nvml(Driver()).devices(), named)
    assert visible([], named) == []
    with pytest.raises(Infrastructure, match="no GPU 2; there are: 0 "):
        visible(Nvml(Driver()).devices(), "0,2")


def test_without_the_module_nvidia_smi_says_the_same() -> None:
    answers = {
        "gpu=index,uuid,name,memory.total": "0, GPU-a, Big GPU, 81559\n1, GPU-b, Big GPU, 81559\n",
        "gpu=index,memory.used": "1, 2048\n",
        "compute-apps=pid,used_memory,process_name": "12, [N/A], python\n",
    }
    asked: list[list[str]] = []

    def run(arguments: Any) -> str:
        asked.append(list(arguments))
        return answers[arguments[0].removeprefix("--query-")]

    source = Smi(run)
    device = find(source.devices(), "1")
    assert device == Device(1, "GPU-b", "Big GPU", 81559.0) and source.used_mb(device) == 2048.0
    assert [(u.pid, u.name, u.memory_mb) for u in source.users(device)] == [(12, "python", 0.0)]
    assert "--id=GPU-b" in asked[-1]
    answers |= {"gpu=index,pci.bus_id": "1, 00000000:1B:00.0\n", "-q": "GPU UUID : GPU-b\n    Minor Number   : 5\n"}
    assert source.bus(device) == "00000000:1B:00.0" and source.minor(device) == 5
    answers["-q"] = "Minor Number : N/A"
    assert source.minor(device) is None


def test_rows_of_nvidia_smi_that_lack_what_was_asked_are_no_rows() -> None:
    answers = {
        "gpu=index,uuid,name,memory.total": "\n0, GPU-a, Big GPU, 81559\n1, GPU-b\n",
        "gpu=index,memory.used": "\n",
        "compute-apps=pid,used_memory,process_name": "[N/A], 7, ?\n12, 2048, python -c f(1, 2)\nno processes\n",
    }
    source = Smi(lambda arguments: answers[arguments[0].removeprefix("--query-")])
    (device,) = source.devices()
    assert device.uuid == "GPU-a"
    with pytest.raises(Infrastructure, match="nvidia-smi does not tell the memory in use of GPU-a"):
        source.used_mb(device)
    assert source.users(device) == [User(12, "python -c f(1, 2)", 2048.0)]


def test_memory_that_others_hold_stops_a_trial_from_beginning_and_says_who() -> None:
    driver = Driver()
    watched = guard(driver)
    watched.before()
    driver.used, driver.processes = [3 * GIB], [(os.getpid(), 3 * GIB)]
    with pytest.raises(Infrastructure, match=rf"3,072 MiB of Big GPU are in use by others: pid {os.getpid()} \("):
        watched.before()
    driver.used = [0]
    watched.before()


def test_memory_in_use_when_the_judge_began_is_no_hindrance() -> None:
    driver = Driver()
    driver.used = [5 * GIB]
    watched = guard(driver)
    watched.before()
    driver.used = [7 * GIB]
    watched.sample()
    assert watched.peak_mb == 2048.0


def test_a_limit_of_device_memory_counts_what_is_above_the_baseline() -> None:
    driver = Driver()
    driver.used = [5 * GIB]
    source = Nvml(driver)
    watched = Guard(source, find(source.devices(), "1"), {}, limit_mb=2048)
    driver.used = [7 * GIB]
    assert watched.sample() == ""
    driver.used = [8 * GIB]
    assert watched.sample() == ""  # half a second has not passed
    watched._sampled -= 1.0
    assert watched.sample() == "out of device memory: 3,072 MiB of Big GPU; the limit is 2,048 MiB"
    assert watched.metrics({}, 1.0)["peak_device_mb"] == 3072


def test_nvidia_smi_is_asked_during_a_trial_for_the_sake_of_a_limit_only() -> None:
    answers = {
        "gpu=index,uuid,name,memory.total": "0, GPU-a, Big GPU, 81559\n",
        "gpu=index,memory.used": "0, 0\n",
        "compute-apps=pid,used_memory,process_name": "",
    }
    source = Smi(lambda arguments: answers[arguments[0].removeprefix("--query-")])
    free, limited = (Guard(source, find(source.devices(), "0"), {}, limit_mb=limit) for limit in (0, 2048))
    answers["gpu=index,memory.used"] = "0, 4096\n"
    assert free.sample() == "" and free.peak_mb == 0
    assert "4,096 MiB of Big GPU; the limit is 2,048 MiB" in limited.sample()


def test_memory_that_a_killed_box_gives_back_is_no_part_of_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.SETTLED", 0.0)
    driver = Driver()
    driver.used = [40 * GIB, 40 * GIB, 20 * GIB, 3 * GIB, 3 * GIB]
    watched = guard(driver, wait=5.0)
    watched.settle()
    assert watched.baseline_mb == 3072
    driver.used = [GIB]  # what others held then, they need not hold for ever
    watched.before()
    driver.used = [2 * GIB]
    watched.look()
    assert watched.peak_mb == 1024


IDLE, POWER_CAP, HEAT = 0x1, 0x4, 0x40


def sampled(watched: Guard, driver: Driver, *looks: tuple[int, int, int]) -> dict[str, float]:
    """The metrics after looks, a second apart, at a clock in MHz, reasons for it and millijoules used so far."""
    for driver.clock, driver.reasons, driver.millijoules in looks:
        watched._sampled -= 1.0
        watched.sample(training=True)
    times = iter(range(100))
    watched.telemetry._states = [(float(next(times)), state) for _, state in watched.telemetry._states]
    return watched.metrics({"parameters": 1e6, "tokens_per_second": 1e6}, charged=10.0)


def test_clock_energy_and_what_held_the_device_back_are_those_of_the_training() -> None:
    driver = Driver()
    watched = guard(driver)
    watched.sample()
    looks = (1980, IDLE, 5_000), (1700, POWER_CAP, 605_000), (1500, HEAT | IDLE, 1_205_000), (1900, 0, 1_805_000)
    found = sampled(watched, driver, *looks)
    assert found["sm_mhz_min"] == 1500 and found["sm_mhz_median"] == 1800
    assert found["throttled_share"] == found["power_capped_share"] == 0.25
    assert found["watts"] == pytest.approx(600.0) and found["joules"] == pytest.approx(6000.0)
    assert "mfu_reported" not in found  # no such device is known
    watched.before()
    assert "watts" not in watched.metrics({}, 10.0)


def test_where_the_driver_tells_no_energy_there_is_none() -> None:
    driver = Driver()
    driver.tells_energy = False
    found = sampled(guard(driver), driver, (1980, 0, 0), (1980, 0, 0))
    assert found["sm_mhz_min"] == 1980 and "watts" not in found and "joules" not in found


def test_memory_may_take_a_moment_to_be_free_again() -> None:
    driver = Driver()
    watched = guard(driver, wait=5.0)
    driver.used = [40 * GIB, 40 * GIB, 0]
    assert watched.after() == "" and not watched.lost


def test_memory_that_nobody_holds_and_that_stays_in_use_ends_the_use_of_the_device() -> None:
    driver = Driver()
    watched = guard(driver)
    driver.used = [40 * GIB]
    assert "40,960 MiB stay in use" in watched.after()
    driver.used = [0]
    with pytest.raises(Infrastructure, match="not usable.*stay in use.*then resume"):
        watched.before()


def test_another_user_s_memory_voids_the_trial_but_not_the_device() -> None:
    driver = Driver()
    watched = guard(driver)
    driver.used, driver.processes = [2 * GIB], [(os.getpid(), 2 * GIB)]
    assert watched.after(box=1).startswith("another user took 2,048 MiB of Big GPU: pid ")
    assert not watched.lost
    assert "stay in use" in watched.after(box=os.getpid())  # our own box, that cannot be killed


KERNEL = "AcceleratorError at line 9: CUDA error: an illegal memory access was encountered"
LOST = "RuntimeError at line 9: CUDA error: unknown error"
WORDLESS = "an exception at line 9: during evaluation, where messages are not passed on"


@pytest.mark.parametrize("reason", [KERNEL, LOST, WORDLESS, "killed by SIGSEGV during training"])
def test_a_crash_is_the_program_s_fault_only_where_the_device_passes_a_test(reason: str) -> None:
    assert guard(Driver(), "pass").after(reason) == ""
    watched = guard(Driver(), "raise SystemExit('CUDA error 999')")
    assert "fails a test of the harness's own (CUDA error 999)" in watched.after(reason)
    assert watched.lost


def test_an_ordinary_crash_costs_no_test() -> None:
    assert guard(Driver(), "raise SystemExit(1)").after("NameError at line 3: name 'x' is not defined") == ""


def test_xids_of_hardware_end_the_use_of_the_device_and_those_of_programs_do_not() -> None:
    driver = Driver()
    watched = guard(driver)
    driver.faults = [13, 31]
    assert watched.after() == ""
    driver.faults = [31, 79]
    assert "Xid 79" in watched.after() and "Xid 79" in watched.lost


def test_a_driver_that_stops_answering_is_a_lost_device() -> None:
    driver = Driver()
    watched = guard(driver)
    driver.gone = True
    assert "does not answer: GPU is lost" in watched.after()


def test_a_probe_that_hangs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.PROBE_WALL", 0.3)
    assert "no result after 0.3 s" in guard(Driver(), "import time; time.sleep(20)").test()


def test_out_of_memory_is_told_from_other_faults() -> None:
    assert out_of_memory("OutOfMemoryError at line 3: CUDA out of memory. Tried to allocate 2 GiB")
    assert not out_of_memory(KERNEL)
    for said in (
        "RuntimeError at line 3: CUDA error: out of memory",
        "RuntimeError at line 3: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "OutOfMemoryError at line 3: during evaluation, where messages are not passed on",
    ):
        assert out_of_memory(said)
    for other in ("MemoryError at line 3: ", "OutOfResources at line 3: out of resource: shared memory"):
        assert not out_of_memory(other)


def test_nodes_are_those_of_one_gpu(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-caps", "sda"):
        (tmp_path / name).touch()
    driver = tmp_path / "gpus"
    for minor, place in enumerate(("b", "a")):
        (driver / place).mkdir(parents=True)
        (driver / place / "information").write_text(f"GPU UUID: \t GPU-abc{minor}\nDevice Minor: \t {minor}\n")
    device, other = Device(0, "GPU-abc1", "Big GPU", 0), Device(0, "GPU-other", "Big GPU", 0)

    def named(device: Device, minor: int | None) -> list[str]:
        return [path.name for path in nodes(device, lambda _: minor, tmp_path, driver)]

    assert named(device, 0) == ["nvidiactl", "nvidia-uvm", "nvidia1"], "/proc says which"
    assert named(other, 0) == ["nvidiactl", "nvidia-uvm", "nvidia0"], "the driver says which"
    for minor in (None, 2):
        with pytest.raises(Infrastructure, match="nvidia0, .*nvidia1 is GPU-other"):
            named(other, minor)
    (tmp_path / "nvidia0").unlink()
    assert named(other, None)[-1] == "nvidia1", "a container that has one has that one"


def test_the_driver_says_which_node_and_place_on_the_bus_a_device_has(tmp_path: Path) -> None:
    source = Nvml(Driver())
    assert source.minor(find(source.devices(), "1")) == 6
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0/local_cpulist").write_text("0-2,32-33\n")
    assert near(source.bus(find(source.devices(), "1")), tmp_path) == [0, 1, 2, 32, 33]
    assert near(source.bus(find(source.devices(), "0")), tmp_path) == near("", tmp_path) == []


def test_only_the_folder_of_the_driver_is_passed_on_for_libraries(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").touch()
    found = {"LD_LIBRARY_PATH": str(tmp_path), "TRITON_LIBCUDA_PATH": str(tmp_path)}
    assert libraries(f"/nowhere:{tmp_path}:") == found and libraries("/nowhere") == {}


def test_a_scale_for_gpus_says_what_it_needs_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise Infrastructure("nvidia-smi does not answer")

    monkeypatch.setattr("trials.open_source", none)
    assert open_guard(Scale.read("cpu"), "0") is None
    with pytest.raises(Infrastructure, match="does not answer; the scale gpu needs a GPU .* or use the scale cpu"):
        open_guard(Scale.read("gpu"), "0")
