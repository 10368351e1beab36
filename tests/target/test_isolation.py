"""The levels of isolation, each with a real judge: what it says of itself, what a script cannot do, what it can."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import packages
import seccomp
from ladder import Isolation, find_bwrap, lacking
from tests.target.conftest import SCORE, TARGET, TINY, Slot

CONTAINER = (sys.executable, str(Path(__file__).with_name("container.py")))
WITHOUT_LANDLOCK = (*CONTAINER, "--no-landlock")
OPTIONS = {"N": ((), ()), "L": ((), CONTAINER), "U": (("--isolation", "U"), ())}  # of the judge, and its launcher


@pytest.fixture(scope="module", params=OPTIONS)
def level(request: pytest.FixtureRequest) -> str:
    """A level of the ladder that this machine can have."""
    name: str = request.param
    if reason := lacking(name):
        pytest.skip(reason)
    return name


@pytest.fixture(scope="module")
def judge(level: str, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    """A judge at that level."""
    options, launcher = OPTIONS[level]
    slot = Slot(cache, tmp_path_factory.mktemp("job"), "--patience", "5", *options, launcher=launcher)
    yield slot
    assert slot.close() == 0


LINES = {
    "N": r"N: bwrap\(mnt\)\+namespaces\(user,pid,net,ipc\)\+landlock\(abi\d+\)\+seccomp\+rlimits; "
    r"NOT: memory cgroup \(watchdog instead\)",
    "L": r"L: landlock\(abi\d+\)\+seccomp\+rlimits; NOT: stat\(\) of hidden files, path unix sockets, "
    r"pid hiding, (own /dev/shm|shared memory .*), memory cgroup \(watchdog instead\)",
    "U": r"U: other user\+namespaces\(pid,net,ipc\)\+seccomp\+rlimits; NOT: pid hiding, "
    r"memory cgroup \(watchdog instead\)",
}


def test_a_judge_says_its_level_and_what_the_self_test_found(judge: Slot, level: str) -> None:
    assert judge.ready["ready"], judge.ready
    assert judge.ready["level"] == level
    assert re.fullmatch(LINES[level], judge.ready["isolation"]), judge.ready["isolation"]


# Everything that would harm the judge, its text or its neighbours; LEVEL stands for the level.
FORBIDDEN = """
import ctypes, errno, os, pathlib, signal, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(what, action):
    try:
        result = action()
    except OSError:
        return
    if not isinstance(result, int) or result >= 0:
        raise SystemExit(f"{what} was allowed")
judge, here = JUDGE, pathlib.Path.cwd()
for path in MASKED:
    refused("masked text in " + path, pathlib.Path(path).read_bytes)
refused("validation text", lambda: pathlib.Path("CORPUS", "val.bin").read_bytes())
refused("home", lambda: pathlib.Path("HOME", ".bashrc").read_bytes())
for place in ("/", "/tmp", "/var/tmp", "/etc", str(here.parent), os.path.dirname(torch.__file__)):
    refused("writing in " + place, lambda: open(place + "/.written", "w"))
refused("core_pattern", lambda: open("/proc/sys/kernel/core_pattern", "w"))
refused("environ", lambda: open(f"/proc/{judge}/environ", "rb").read(1))
refused("TCP", lambda: socket.socket())
refused("packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
refused("a mount", lambda: libc.mount(b"none", b"/mnt", b"tmpfs", 0, None))
refused("a user namespace", lambda: libc.unshare(0x10000000))
refused("another core", lambda: os.sched_setaffinity(0, {0, 1}))
refused("the clock", lambda: __import__("time").clock_settime(0, 0.0))
refused("a subreaper", lambda: libc.prctl(36, 1, 0, 0, 0))
refused("hiding", lambda: libc.prctl(4, 0, 0, 0, 0))
import resource
try:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    raise SystemExit("a limit of its own was allowed")
except (OSError, ValueError): pass
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
refused("a segment of shared memory", lambda: libc.shmget(0, 4096, 0o1600))
assert os.path.exists(f"/proc/{judge}") == (LEVEL != "N")
assert not set(os.environ) & {"ANTHROPIC_API_KEY", "EVOLVE_LLM_KEY", "OLDPWD"}
"""


def masked_files() -> list[str]:
    """Of each folder with tests that this interpreter could import from, a module, and what it is compiled to."""
    roots = packages.package_folders() | packages.standard_library()
    places = [place for place in packages.test_folders() if not roots.isdisjoint(place.parents)]
    found = [next(place.rglob(pattern), None) for place in places for pattern in ("*.py", "*.pyc")]
    return [str(path) for path in found if path]


def test_what_harms_is_refused(judge: Slot, level: str) -> None:
    files = masked_files()
    assert any("/sympy/" in path for path in files) and any("/numpy/" in path for path in files)
    corpus = next(judge.cache.glob("sympy-*"))
    source = FORBIDDEN.replace("JUDGE", str(judge.process.pid)).replace("LEVEL", repr(level))
    source = source.replace("MASKED", repr(files))
    source = source.replace("CORPUS", str(corpus)).replace("HOME", str(Path.home()))
    outcome = judge.run(TINY + source + SCORE)
    assert outcome["status"] == "ok", outcome


IMPORTS = """
import doctest, importlib.util, json, unittest.mock, numpy.testing, sympy, torch._inductor, torch.testing
import torch.utils.data, torch.utils.benchmark
assert sympy.integrate(sympy.Symbol("x")) is not None
from torch._inductor.codecache import torch_key
torch_key()  # compiling reads all of torch's source
"""


def test_what_is_hidden_lies_on_the_way_of_no_import(judge: Slot) -> None:
    outcome = judge.run(TINY + IMPORTS + SCORE, purpose="smoke")
    assert outcome["status"] == "ok", outcome


WORKERS = """
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(64.0).view(32, 2))
seen = torch.cat([x for x, in DataLoader(data, batch_size=4, num_workers=2)])
assert seen.shape == (32, 2) and seen.sum() == 2016, seen
"""


def skip_without_shared_memory(judge: Slot) -> None:
    """Level L has none to give where somebody else's things lie in it."""
    if "shared memory (" in judge.ready["isolation"]:
        pytest.skip("others use /dev/shm")


def test_workers_of_a_data_loader_work(judge: Slot) -> None:
    skip_without_shared_memory(judge)
    outcome = judge.run(TINY + WORKERS + SCORE)
    assert outcome["status"] == "ok", outcome


def test_a_library_that_asks_who_runs_it_has_an_answer(judge: Slot) -> None:
    outcome = judge.run("import getpass\nassert getpass.getuser() == 'box'\n" + TINY + SCORE)
    assert outcome["status"] == "ok", outcome


def test_nothing_is_handed_on_in_shared_memory(judge: Slot) -> None:
    skip_without_shared_memory(judge)
    make = "import contextlib, os\nwith contextlib.suppress(OSError): os.makedirs('/dev/shm/evolve-left/below')\n"
    leave = make + "open('/dev/shm/evolve-note', 'w').write('x')\n"
    look = "import os\nassert not [n for n in os.listdir('/dev/shm') if 'evolve-' in n], os.listdir('/dev/shm')\n"
    first = judge.run(TINY + leave + SCORE)
    second = judge.run(TINY + look + SCORE)
    assert (first["status"], second["status"]) == ("ok", "ok"), (first, second)
    assert not [path for path in Path("/dev/shm").iterdir() if "evolve-" in path.name]


@pytest.mark.slow
def test_compiled_models_work(judge: Slot) -> None:
    outcome = judge.run(TINY + "model = torch.compile(model)\n" + SCORE, purpose="smoke")
    assert outcome["status"] == "ok", outcome


CHILD = """
import ctypes, os, signal, time
def burn():
    stop = time.process_time() + 0.15
    while time.process_time() < stop: pass
    os._exit(0)
next(make_dataloader(tokenizer, 1, 8, "train"))
ACT
print(f"val_bpb {evaluate_bpb(model, tokenizer, 8):.4f}")
"""
IGNORED = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nif os.fork() == 0: burn()\ntime.sleep(0.5)\n"
ORPHAN = "if os.fork() == 0:\n    if os.fork() == 0: burn()\n    os._exit(0)\nos.wait()\ntime.sleep(0.5)\n"
SIBLING = """
if ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0: burn()
time.sleep(0.5)
"""


@pytest.mark.parametrize("act", [IGNORED, ORPHAN])
def test_children_are_charged_however_they_end(judge: Slot, act: str) -> None:
    outcome = judge.run(TINY + CHILD.replace("ACT", act), budget=0.4)
    assert outcome["status"] == "ok" and outcome["seconds"] > 0.11, outcome


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of clone is that of x86_64")
def test_no_child_is_put_beside_the_box(judge: Slot) -> None:
    outcome = judge.run(TINY + CHILD.replace("ACT", SIBLING), budget=0.4)
    assert outcome["status"] == "ok" and outcome["seconds"] < 0.1, outcome


def test_without_any_isolation_the_judge_refuses(cache: Path, tmp_path: Path) -> None:
    slot = Slot(cache, tmp_path, launcher=WITHOUT_LANDLOCK)
    assert slot.ready["ready"] is False
    error = slot.ready["error"]
    assert error.startswith("No isolation available (N: ") and "L: this kernel has no Landlock" in error
    assert error.endswith("Run inside a container or VM, or pass --unsafe-no-sandbox.")
    assert slot.close() == 0


def test_a_person_may_say_that_no_isolation_is_needed(cache: Path, tmp_path: Path) -> None:
    slot = Slot(cache, tmp_path, "--unsafe-no-sandbox", launcher=WITHOUT_LANDLOCK)
    assert slot.ready["level"] == "none" and slot.ready["isolation"].startswith(
        "none: scripts run with all your rights"
    )
    assert slot.run(TINY + SCORE)["status"] == "ok"
    assert slot.close() == 0


def test_less_can_be_asked_for(cache: Path, tmp_path: Path) -> None:
    slot = Slot(cache, tmp_path, "--isolation", "L")
    assert slot.ready["level"] == "L" and "bwrap" not in slot.ready["isolation"], slot.ready
    assert slot.close() == 0


def test_the_prefix_holds_devices_and_no_text(tmp_path: Path) -> None:
    if reason := lacking("N"):
        pytest.skip(reason)
    cache, folder = tmp_path / "cache", tmp_path / "cache" / "box"
    folder.mkdir(parents=True)
    (cache / "text").write_text("a secret")
    prefix = Isolation("N", find_bwrap(), (cache,)).prefix(folder, [Path("/dev/zero")])
    assert prefix.index("/dev/zero") > prefix.index("--dev")
    look = f"ls {cache}; touch {folder}/here; ls /home /root 2>&1; ls /proc | grep -c '^[0-9]'; test -c /dev/zero"
    seen = subprocess.run([*prefix, "sh", "-c", look], capture_output=True, text=True)
    assert seen.returncode == 0, seen
    assert "text" not in seen.stdout and "box" in seen.stdout and (folder / "here").exists()
    assert int(seen.stdout.split()[-1]) <= 5  # processes: bubblewrap's, the shell, its two commands


HEADERS = {0: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), 1: Path("/usr/include/asm-generic/unistd.h")}


@pytest.mark.parametrize("column", HEADERS)
def test_numbers_of_system_calls_are_the_kernels(column: int) -> None:
    if not HEADERS[column].exists():
        pytest.skip("no kernel headers here")
    text = HEADERS[column].read_text()
    kernels = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    ours = {name: pair[column] for name, pair in (seccomp.DENIED | seccomp.NUMBERS).items()}
    assert {n: number for n, number in ours.items() if number is not None and kernels.get(n, number) != number} == {}
    assert sum(name in kernels for name in ours) > 50


FILTERED = """
import ctypes, errno, os, signal, sys
sys.path.insert(0, TARGET)
import seccomp
seccomp.install()
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    return libc.syscall(*arguments), ctypes.get_errno()
assert call(435, 0, 0) == (-1, errno.ENOSYS)  # clone3
assert call(39 | 0x40000000) == (-1, errno.EPERM)  # getpid as x32
assert call(56, 0x10000000 | 17, 0, 0, 0, 0) == (-1, errno.EPERM)  # clone into a user namespace
assert call(144, 0, 1, ctypes.byref(ctypes.c_int(1))) == (-1, errno.EPERM)  # SCHED_FIFO
assert call(144, 0, 0, ctypes.byref(ctypes.c_int(0))) == (0, 0)  # SCHED_OTHER
os.close(os.memfd_create("needed by CUDA"))
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # only seemingly
if (pid := os.fork()) == 0: os._exit(3)
assert os.waitpid(pid, 0)[1] == 3 << 8
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
def test_the_filter_refuses_what_its_table_says_and_nothing_else() -> None:
    command = [sys.executable, "-c", FILTERED.replace("TARGET", repr(str(TARGET)))]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "handled\n"), ended.stderr
