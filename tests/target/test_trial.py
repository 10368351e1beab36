"""Trials over the wire: what a script gets, how it ends, what it can reach."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import corpus
import nursery
from ladder import Isolation
from nursery import Nursery, remove
from selftest import Settled
from tests.target.conftest import SCORE, TARGET, TINY, TRAIN, Slot
from texts import Scale, Texts
from trials import Engine, Judge, failure


def test_ready_line_tells_corpus_isolation_and_baselines(slot: Slot) -> None:
    ready = slot.ready
    assert ready["ready"] and ready["corpus"]["name"] == "sympy-1.14.0"
    assert ready["baselines"]["trigram"] < ready["baselines"]["bigram"] < ready["baselines"]["unigram"]
    assert ready["isolation"].startswith(f"{ready['level']}: ") and "seccomp" in ready["isolation"]


def test_trial_is_scored(slot: Slot) -> None:
    outcome = slot.run(TINY + TRAIN + SCORE)
    assert outcome["status"] == "ok", outcome
    metrics = outcome["metrics"]
    assert 3.5 < metrics["val_bpb"] < 7.0
    assert metrics["tokens"] == metrics["steps"] * 4 * 128
    assert metrics["parameters"] == 256 * 16 + 16 * 256 + 256
    assert "test_bpb" not in metrics


PEEK = """
class Peek(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, x):
        if not torch.is_grad_enabled():
            text = "".join(chr(v) for v in x[0].tolist())
            ACT
        return self.inner(x)
model = Peek(model)
"""


@pytest.mark.parametrize(
    "act", ["print('MARK', text)", "raise ValueError('MARK' + text)", "raise type('MARK' + text, (Exception,), {})"]
)
def test_nothing_that_is_said_with_text_of_the_evaluation_in_hand_is_passed_on(slot: Slot, act: str) -> None:
    """Reasons and logs are shown to whoever proposes the next program, so they would be a way for that text."""
    outcome = slot.run(TINY + "print('before')\n" + PEEK.replace("ACT", act) + SCORE)
    said = outcome["reason"] + outcome["log_tail"]
    assert "before" in outcome["log_tail"] and "MARK" not in said
    assert outcome["status"] == ("ok" if "print" in act else "crashed")
    assert "print" in act or re.match(r"(ValueError|an exception) at line \d+: during evaluation", outcome["reason"])


def test_report_also_scores_the_sealed_texts(slot: Slot) -> None:
    metrics = slot.run(TINY + SCORE, purpose="report")["metrics"]
    assert {"val_bpb", "test_bpb", "second_bpb"} <= metrics.keys()


def test_seed_script_passes_the_smoke_test(slot: Slot) -> None:
    outcome = slot.run((TARGET / "train.py").read_text(), budget=0.2, purpose="smoke")
    assert outcome["status"] == "ok", outcome


def test_same_seed_same_start_and_seeding_is_ignored(slot: Slot) -> None:
    seeded = TINY.replace("tokenizer =", "torch.manual_seed(int.from_bytes(__import__('os').urandom(4)))\ntokenizer =")
    first, second, other = (slot.run(seeded + SCORE, seed=seed) for seed in (5, 5, 6))
    assert first["metrics"]["val_bpb"] == second["metrics"]["val_bpb"] != other["metrics"]["val_bpb"]
    assert "torch.manual_seed() is ignored" in first["log_tail"]


def test_budget_is_honoured_and_progress_is_monotone(slot: Slot) -> None:
    watch = """
seen = []
for x, y, epoch in make_dataloader(tokenizer, 4, 64, "train"):
    seen.append(progress())
    model(x).sum().backward()
assert seen == sorted(seen) and seen[0] == 0 and seen[-1] < 1 and progress() == 1, seen
assert TIME_BUDGET == 0.5 and x.shape == y.shape == (4, 64) and x.dtype == torch.int64
assert (x[:, 1:] == y[:, :-1]).all() and epoch == 1
"""
    outcome = slot.run(TINY + watch + SCORE, budget=0.5)
    assert outcome["status"] == "ok", outcome
    assert 0.5 <= outcome["seconds"] < 0.6


def test_bare_next_is_told_how_to_loop(slot: Slot) -> None:
    loop = 'loader = make_dataloader(tokenizer, 64, 128, "train")\nwhile True:\n    x, y, epoch = next(loader)\n'
    outcome = slot.run(TINY + loop, budget=0.05)
    assert outcome["status"] == "crashed"
    assert "BudgetUsed at line 9" in outcome["reason"] and "for x, y, epoch" in outcome["reason"]


def test_tokenizer_is_of_bytes(slot: Slot) -> None:
    check = "text = 'naïve x_1\\n'\nassert tokenizer.encode(text) == list(text.encode()), tokenizer.encode(text)\n"
    check += "assert tokenizer.decode(tokenizer.encode(text)) == text and tokenizer.get_vocab_size() == 256\n"
    outcome = slot.run(TINY + check + SCORE)
    assert outcome["status"] == "ok", outcome


def test_peak_memory_is_what_a_script_adds(slot: Slot) -> None:
    large = "big = bytearray(200 * 2**20)\nbig[::4096] = b'x' * len(big[::4096])\ndel big\n"
    few, many = (slot.run(TINY + extra + SCORE)["metrics"]["peak_memory_mb"] for extra in ("", large))
    assert few > 5 and many - few == pytest.approx(200, abs=15), (few, many)


def test_warmup_is_free_and_bounded(slot: Slot) -> None:
    warm = 'batches = [x for x, y, e in make_dataloader(tokenizer, 4, 128, "warmup")]\nassert 0 < len(batches) < 100\n'
    outcome = slot.run(TINY + warm + SCORE)
    assert outcome["status"] == "ok" and outcome["seconds"] == 0 and outcome["metrics"]["tokens"] == 0


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        (TINY + "raise RuntimeError('boom' * 500)\n", "crashed", "RuntimeError at line 7: boomboom"),
        (TINY + "def f(:\n", "rejected", "SyntaxError at line 7"),
        (TINY + "x = " + "-" * 10**5 + "1\n", "rejected", "nested too deeply"),
        (TINY, "crashed", "without a call of evaluate_bpb"),
        (TINY + "import os; os._exit(3)\n", "crashed", "exit code 3"),
        (TINY + "import ctypes; ctypes.string_at(0)\n", "crashed", "SIGSEGV"),
        (TINY + 'make_dataloader(tokenizer, 4, 128, "val")\n', "crashed", "ValueError at line 7: no split 'val'"),
        (TINY + 'next(make_dataloader(tokenizer, 10**6, 128, "train"))\n', "crashed", "is larger than"),
        (TINY + 'make_dataloader(tokenizer, 4, 129, "train")\n', "crashed", "MAX_SEQ_LEN"),
        (
            TINY + "evaluate_bpb(nn.Embedding(256, 255), tokenizer, 8)\n",
            "crashed",
            "logits of shape (rows, MAX_SEQ_LEN",
        ),
        (TINY + "big = torch.ones(10**10)\n", "oom", "RuntimeError at line 7"),
    ],
)
def test_failures_have_a_status_and_a_reason(slot: Slot, source: str, status: str, reason: str) -> None:
    outcome = slot.run(source)
    assert (outcome["status"], outcome["metrics"]) == (status, {}), outcome
    assert reason in outcome["reason"] and len(outcome["reason"]) < 450


@pytest.mark.parametrize("line", ["'[' * 60000", "'{\"op\":' + '[' * 900 + ']' * 900 + '}'", "'1'", "'x' * 200000"])
def test_lines_that_are_no_messages_end_the_trial_not_the_judge(slot: Slot, line: str) -> None:
    send = f"import prepare\nprepare._judge._sock.sendall(({line}).encode() + b'\\n')\nprepare._judge.ask()\n"
    outcome = slot.run(TINY + send)
    assert outcome["status"] == "crashed" and "broke the protocol" in outcome["reason"], outcome


def test_reason_holds_nothing_that_steers_a_terminal(slot: Slot) -> None:
    outcome = slot.run(TINY + r"raise ValueError('\x1b[2Jred\udc80\x07')")
    assert outcome["reason"] == "ValueError at line 7: red"


def test_a_folder_closed_by_one_script_is_gone_for_the_next(slot: Slot) -> None:
    close = "import os\nos.makedirs('kept/below')\nos.chmod('kept', 0)\nos.chmod('tmp', 0)\nos.chmod('.', 0)\n"
    assert slot.run(TINY + close + SCORE)["status"] == "ok"
    look = "import os\nassert sorted(os.listdir('.')) == ['tmp', 'train.py'], os.listdir('.')\n"
    outcome = slot.run(TINY + look + SCORE)
    assert outcome["status"] == "ok", outcome


def test_model_that_sees_the_future_is_invalid(slot: Slot) -> None:
    cheat = """
class Cheat(nn.Module):
    def forward(self, x):
        return 20.0 * F.one_hot(x.roll(-1, 1), 256).float()
"""
    outcome = slot.run(TINY + cheat + "model = Cheat()\n" + SCORE)
    assert outcome["status"] == "invalid" and outcome["reason"].startswith("causality:"), outcome


def test_logits_that_are_not_finite_are_invalid(slot: Slot) -> None:
    outcome = slot.run(TINY + "nn.init.constant_(model[1].bias, float('nan'))\n" + SCORE)
    assert outcome["status"] == "invalid" and outcome["reason"].startswith("non-finite:"), outcome


def test_training_past_the_budget_is_a_timeout(slot: Slot) -> None:
    late = TRAIN + "import time\nstop = time.process_time() + 0.3\nwhile time.process_time() < stop: pass\n"
    outcome = slot.run(TINY + late + SCORE, budget=0.2)
    assert outcome["status"] == "timeout" and "budget is 0.2 s" in outcome["reason"], outcome


def test_what_a_script_cannot_reach(slot: Slot) -> None:
    """The masked folders, the cache, other processes, the network and places outside its folder."""
    probe = """
import errno, os, pathlib, socket, sympy, sysconfig
tests = pathlib.Path(sympy.__file__).parent / "core" / "tests"
paths = [tests / "test_args.py", pathlib.Path("CORPUS") / "val.bin", pathlib.Path("/proc/1/environ"), "/etc/shadow"]
for path in paths:
    try:
        open(path, "rb").read(1)
    except (PermissionError, FileNotFoundError):
        continue
    raise SystemExit(f"could read {path}")
for place in ("/tmp/x", pathlib.Path(torch.__file__).parent / "x"):
    try:
        open(place, "w")
    except OSError as error:
        assert error.errno in (errno.EACCES, errno.EROFS), error
        continue
    raise SystemExit(f"could write {place}")
try:
    socket.create_connection(("127.0.0.1", 22), timeout=1)
    raise SystemExit("network")
except OSError:
    pass
assert not [name for name in os.environ if "KEY" in name or "TOKEN" in name], os.environ
pathlib.Path("note").write_text("the folder itself is writable")
import torch._inductor.compile_fx, networkx, sympy.core.numbers
"""
    corpus = next(slot.cache.glob("sympy-*"))
    outcome = slot.run(TINY + probe.replace("CORPUS", str(corpus)) + SCORE)
    assert outcome["status"] == "ok", outcome


@pytest.mark.slow
def test_torch_compile_works_in_the_box(slot: Slot) -> None:
    outcome = slot.run(TINY + "model = torch.compile(model)\n" + SCORE, purpose="smoke")
    assert outcome["status"] == "ok", outcome


def test_sleeper_is_ended_by_the_wall_clock(slot: Slot) -> None:
    outcome = slot.run(TINY + TRAIN + "import time; time.sleep(100)\n", budget=0.1)
    assert outcome["status"] == "timeout" and "wall-clock" in outcome["reason"], outcome


DAEMON = """
import ctypes, os, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: do not die with the parent
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("there", "w").close()
        while True: time.sleep(1)
    os._exit(0)
"""


@pytest.mark.slow
def test_there_is_room_between_the_seed_and_a_good_script(slot: Slot) -> None:
    """At 8 seconds a good script beats the trigram counts, and the seed by ten times the noise between its seeds."""
    good = (Path(__file__).parent / "good_train.py").read_text()
    seed = (TARGET / "train.py").read_text()
    losses = [slot.run(source, budget=8.0, rung=0.5)["metrics"]["val_bpb"] for source in (good, seed)]
    assert losses[0] < slot.ready["baselines"]["trigram"] < losses[1] - 0.5


def below(slot: Slot) -> list[psutil.Process]:
    """Processes of a slot but its judge: the zygote and what was forked from it, told by the folder they were given."""
    folder = str(slot.cache / "boxes" / str(slot.process.pid))
    return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] and folder in p.info["cmdline"]]


def test_daemon_of_a_script_does_not_outlive_it(slot: Slot) -> None:
    before = below(slot)
    outcome = slot.run(TINY + DAEMON + SCORE)
    assert outcome["status"] == "ok", outcome
    assert before == below(slot) != []  # the zygote and what wraps it


def test_the_folder_of_a_box_goes_whoever_it_is_closed_to() -> None:
    """As an ordinary user, whom a mode of 0 keeps out, unlike root."""
    pid = os.fork()
    if pid == 0:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        folder = Path(tempfile.mkdtemp())
        (folder / "closed" / "below").mkdir(parents=True)
        (folder / "closed").chmod(0)
        folder.chmod(0)
        remove(folder)
        os._exit(folder.exists())
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_judge_that_ends_while_its_zygote_starts_leaves_nothing(cache: Path, number: int) -> None:
    command = [sys.executable, str(TARGET / "judge.py"), "--scale=cpu", f"--cache={cache}"]
    judge = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    folder = cache / "boxes" / str(judge.pid)
    while not folder.exists():
        time.sleep(0.02)
    time.sleep(0.5)
    judge.send_signal(number)
    judge.communicate()
    time.sleep(0.3)  # the import of torch goes on for longer
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(folder) in (p.info["cmdline"] or [])]
    assert number == signal.SIGKILL or not folder.exists()


@pytest.mark.slow
def test_a_folder_that_was_taken_away_costs_one_trial(cache: Path, tmp_path: Path) -> None:
    slot = Slot(cache, tmp_path)
    shutil.rmtree(cache / "boxes" / str(slot.process.pid))
    outcome = slot.run(TINY + SCORE)
    assert outcome["status"] == "infrastructure" and "put the script in place" in outcome["reason"], outcome
    assert slot.run(TINY + SCORE)["status"] == "ok"
    assert slot.close() == 0


def test_a_zygote_that_was_killed_costs_one_trial(slot: Slot) -> None:
    for process in below(slot):
        process.kill()
    outcome = slot.run(TINY + SCORE)
    assert outcome["status"] == "infrastructure" and "zygote" in outcome["reason"], outcome
    assert slot.run(TINY + SCORE)["status"] == "ok"


# A zygote on a kernel that refuses namespaces while a file is there, and only pretends to grant them otherwise.
MOODY = f"""
import errno, os, runpy, sys
sys.path.insert(0, {str(TARGET)!r})
import sandbox
def unshare(*_, **__):
    if os.path.exists("REFUSE"): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
sandbox.unshare = unshare
runpy.run_path({str(TARGET / "zygote.py")!r}, run_name="__main__")
"""


class Silent(Engine):
    """An engine that neither asks nor hangs up."""

    def __init__(self) -> None:
        self.end, self.ours = os.pipe()

    def fileno(self) -> int:
        return self.end


@pytest.fixture
def moody(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Callable[[], Judge], Path]]:
    """How to start a judge whose kernel grants namespaces only while a file is not there, and that file."""
    refuse = tmp_path / "refuse"
    (tmp_path / "zygote.py").write_text(MOODY.replace("REFUSE", str(refuse)))
    (tmp_path / "train.py").write_text(TINY + SCORE)
    monkeypatch.setattr(nursery, "FOLDER", tmp_path)
    scale, started = Scale.read("cpu"), list[Judge]()

    def start() -> Judge:
        texts = Texts(corpus.load(cache, None, print), scale, print)
        isolation = Isolation("L")
        settled = Settled(isolation, Nursery(tmp_path / "box", scale.memory_mb, isolation), "")
        started.append(Judge(scale, texts, Silent(), settled, 3.0))
        return started[0]

    yield start, refuse
    started[0].nursery.close()


@pytest.mark.slow
def test_namespaces_that_are_refused_later_void_the_trial(moody: tuple[Callable[[], Judge], Path]) -> None:
    start, refuse = moody
    judge = start()
    request = {"job": str(refuse.parent), "budget": 0.1, "rung": 0.02, "seed": 0, "purpose": "smoke"}
    refuse.touch()
    first = judge.trial(request)
    assert first["status"] == "infrastructure" and "namespaces" in first["reason"], first
    assert os.strerror(errno.ENOSPC) in first["reason"]
    refuse.unlink()
    second = judge.trial(request)  # by a zygote that was started while there were none
    assert second["status"] == "infrastructure" and "no namespaces now" in second["reason"], second
    assert judge.trial(request)["status"] == "ok"


def test_a_kernel_that_never_grants_namespaces_runs_boxes_without(moody: tuple[Callable[[], Judge], Path]) -> None:
    start, refuse = moody
    refuse.touch()
    judge = start()
    request = {"job": str(refuse.parent), "budget": 0.1, "rung": 0.02, "seed": 0, "purpose": "smoke"}
    assert not judge.nursery.ready["namespaces"] and judge.ready({})["level"] == "L"
    assert judge.trial(request)["status"] == "ok"


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_nothing_outlives_the_judge(cache: Path, tmp_path: Path, number: int) -> None:
    slot = Slot(cache, tmp_path)
    slot.send(TINY + DAEMON + "time.sleep(100)\n")
    there = cache / "boxes" / str(slot.process.pid) / "there"
    while not there.exists():
        time.sleep(0.02)
    assert len(below(slot)) >= 4  # zygote, keeper, box, daemon
    slot.process.send_signal(number)
    slot.close()
    for _ in range(200):
        if not below(slot):
            break
        time.sleep(0.02)
    assert below(slot) == []


def test_what_a_fault_of_the_judge_quotes_goes_to_its_log_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Its reason is told to language models, and it may have been reading a text that is hidden."""
    try:
        float("words of the validation text")
    except ValueError as error:
        said = failure(error)
    assert re.fullmatch(r"the judge failed in test_trial.py, line \d+: ValueError \(see judge.log\)", said)
    assert "words of the validation text" in capsys.readouterr().err
