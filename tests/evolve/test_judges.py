"""Where trials run: one slot a core, or one a GPU with its share of the cores, as the judge of a target tells them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from evolve.config import ConfigError, Target, load_target
from evolve.judges import Slot, physical, shares, slots_for
from tests.e2e.conftest import make_target

TRAIN_TARGET = Path(__file__).parents[2] / "train_target"
SMI = """#!{python}
import sys
query = sys.argv[1].removeprefix("--query-")
if query == "gpu=index,uuid,name,memory.total":
    print("0, GPU-aa11, Big GPU, 81559\\n1, GPU-bb22, Big GPU, 81559")
elif query == "gpu=index,pci.bus_id":
    print("0, 00000000:FF:1F.7")
else:
    sys.exit(f"unexpected {{sys.argv}}")
"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return load_target(make_target(tmp_path / "target"))


def with_judge(target: Target, told: object) -> Target:
    """The target with a judge that prints this when it is asked for its devices."""
    target.judge.write_text(f"import sys\nassert sys.argv[1:] == ['--devices']\nprint({json.dumps(told)!r})\n")
    return target


def gpus(count: int) -> dict[str, object]:
    return {"devices": [{"uuid": f"GPU-{i}", "name": "Big GPU"} for i in range(count)]}


def test_at_a_scale_for_the_cpu_each_core_is_a_slot_and_the_judge_is_not_asked(target: Target) -> None:
    target.judge.write_text("raise SystemExit('not to be asked')")
    cores = sorted(os.sched_getaffinity(0))
    assert slots_for(target, "cpu", None) == [Slot((core,)) for core in cores]
    assert slots_for(target, "cpu", 1) == [Slot((cores[0],))] and slots_for(target, "cpu", 1)[0].options[:1] == [
        "--core"
    ]
    with pytest.raises(
        ConfigError, match=f"between 1 and the {len(cores)} cores of this machine, not {len(cores) + 1}"
    ):
        slots_for(target, "cpu", len(cores) + 1)


def test_at_a_scale_for_gpus_each_gpu_is_a_slot(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr("evolve.judges.physical", lambda core: (core, core))
    with_judge(target, gpus(2))
    halves = [Slot((0, 1, 2, 3), "GPU-0"), Slot((4, 5, 6, 7), "GPU-1")]
    assert slots_for(target, "gpu", None) == slots_for(target, "gpu", 2) == halves
    assert slots_for(target, "gpu", 1) == [Slot(tuple(range(8)), "GPU-0")]
    assert halves[1].options == ["--core", "4,5,6,7", "--device", "GPU-1"]
    for wrong in (0, 3):
        with pytest.raises(ConfigError, match=f"between 1 and the 2 GPUs that this process may use, .*, not {wrong}"):
            slots_for(target, "gpu", wrong)


def test_without_a_gpu_the_judge_s_reason_is_given(target: Target) -> None:
    with_judge(target, {"devices": [], "error": "CUDA_VISIBLE_DEVICES='' hides every GPU\x1b[2J"})
    with pytest.raises(
        ConfigError, match="scale gpu needs a GPU, and here is none: CUDA_VISIBLE_DEVICES='' hides"
    ) as no:
        slots_for(target, "gpu", None)
    assert str(no.value).isprintable()
    with pytest.raises(ConfigError, match="here is none: the driver knows none"):
        slots_for(with_judge(target, gpus(0)), "gpu", 1)


@pytest.mark.parametrize("told", [{}, [], "text", {"devices": [{}]}, {"devices": [{"uuid": "a", "near": "many"}]}])
def test_a_judge_that_does_not_know_of_devices_is_told_from_a_machine_without(target: Target, told: object) -> None:
    with pytest.raises(ConfigError, match="judge.py --devices does not say which there are .*target.toml says what"):
        slots_for(with_judge(target, told), "gpu", None)


def test_cores_are_shared_equally_each_to_one_and_the_near_ones_first() -> None:
    cores = list(range(8))
    assert shares(cores, [[], []]) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert shares(cores, [[4, 5, 6, 7], [0, 1, 2, 3]]) == [[4, 5, 6, 7], [0, 1, 2, 3]]
    both = [0, 1, 2, 3]  # of one node, and the second device would have none of its own node's
    assert shares(cores, [both, both, cores[4:]]) == [[0, 1], [2, 3], [4, 5]]
    assert shares(cores, [[], cores[:2], [7]]) == [[2, 3], [0, 1], [4, 7]]
    assert shares([3, 5], [[], [], []]) == [[3], [5], [3]]


def test_hyperthreads_of_one_core_go_to_one_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolve.judges.CPUS", tmp_path)
    for core in range(4):
        (tmp_path / f"cpu{core}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{core}/topology/thread_siblings_list").write_text(f"{core % 2},{core % 2 + 2}\n")
    assert sorted(range(6), key=physical) == [0, 2, 1, 3, 4, 5]


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """The real target on a machine whose nvidia-smi lists two GPUs."""
    programs, modules = tmp_path / "bin", tmp_path / "modules"
    for folder in (programs, modules):
        folder.mkdir()
    (programs / "nvidia-smi").write_text(SMI.format(python=sys.executable))
    (programs / "nvidia-smi").chmod(0o755)
    (modules / "pynvml.py").write_text("raise ImportError('not on this machine')\n")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return load_target(TRAIN_TARGET)


@pytest.mark.parametrize(
    ("named", "found"),
    [(None, ["GPU-aa11", "GPU-bb22"]), ("1", ["GPU-bb22"]), ("GPU-bb22,0", ["GPU-bb22", "GPU-aa11"])],
)
def test_the_judge_lists_the_gpus_that_the_environment_shows(
    two_gpus: Target, monkeypatch: pytest.MonkeyPatch, named: str | None, found: list[str]
) -> None:
    if named:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert [slot.device for slot in slots_for(two_gpus, "gpu", None)] == found


@pytest.mark.parametrize(
    ("named", "why"),
    [("", "hides every GPU of this machine \\(2\\): unset it"), ("0,5", "no GPU 5; there are: 0 \\(Big")],
)
def test_an_environment_that_shows_no_gpu_is_an_error_with_its_cure(
    two_gpus: Target, monkeypatch: pytest.MonkeyPatch, named: str, why: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    with pytest.raises(ConfigError, match=f"needs a GPU, and here is none: .*{why}"):
        slots_for(two_gpus, "gpu", None)
