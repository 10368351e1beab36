"""Runs whose children come from a language model: real processes, real HTTP, real files; only the scores are made up.

What a model would say is computed by `answers`; the server counts by the name of the question what it was asked.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest

from evolve.cli import main
from evolve.history import History
from evolve.reports.open import open_history
from evolve.store import Store, StoreError
from tests.e2e import answers
from tests.e2e.answers import key, says
from tests.e2e.conftest import Start, change, make_target, small_run
from tests.llm.fake_server import Fails, FakeServer, Received, Says

SECRET = "sk-ant-a-key-that-nobody-may-see"
PATIENCE = 60.0  # seconds after which a process hangs

Ran = tuple[int, str, str]  # exit code, output, errors


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The toy target with a judge that does not even sleep."""
    folder = make_target(tmp_path / "target")
    change(folder / "judge.py", 'time.sleep(request["budget"])', "pass")
    return folder


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


def ended(process: subprocess.Popen[str]) -> Ran:
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for a condition, as long as the process is alive."""
    begin = time.monotonic()
    while not true():
        assert process.poll() is None, ended(process)
        assert time.monotonic() - begin < PATIENCE
        time.sleep(0.05)


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Ran:
    """A command in this process: where no process has to die, it is the same and starts sooner."""
    capsys.readouterr()
    code = main([str(a) for a in arguments])
    return code, *capsys.readouterr()


def shown(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a command that must succeed prints."""
    code, output, errors = ran(capsys, *arguments)
    assert code == 0, errors
    return output


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line with which a command refuses."""
    code, _, errors = ran(capsys, *arguments)
    assert code == 2
    assert errors.startswith("evolve: ") and len(errors.splitlines()) == 1, errors
    return errors


def bodies(directory: Path, *kinds: str) -> list[dict[str, Any]]:
    """What was recorded, of these kinds, in order."""
    store = Store.read(directory)
    try:
        return [{"kind": e.kind, **e.body} for e in store.events() if e.kind in kinds]
    finally:
        store.close()


def bodies_or_none(directory: Path, *kinds: str) -> list[dict[str, Any]]:
    """As `bodies`, of a run that may not have begun."""
    try:
        return bodies(directory, *kinds)
    except StoreError:
        return []


def asked(server: FakeServer) -> Counter[str]:
    """How often each question arrived."""
    return Counter(map(key, server.requests))


def most_spent(directory: Path) -> tuple[int, float]:
    """The most tokens and dollars that were spent or reserved at any moment of a run."""
    history = open_history(directory)
    fresh = type(history.calls)()
    peak = (0, 0.0)
    for body in bodies(directory, "question", "reply"):
        (fresh.on_question if body["kind"] == "question" else fresh.on_reply)(body)
        peak = max(peak[0], fresh.spent()[0]), max(peak[1], fresh.spent()[1])
    assert fresh.spent() == history.calls.spent()
    return peak


def children(history: History, operator: str = "") -> list[str]:
    """Ids of those that were made by such an operator and measured."""
    return [c.id for c in history.candidates.values() if c.index and c.rung and operator in c.operator]


def test_a_run_with_a_server(target: Path, run_dir: Path, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--run-dir", run_dir]
    with FakeServer(says) as server:
        command = small_run(target, run_dir, "--llm-url", server.url, "--model", "m")
        code, output, errors = ended(start("evolve", *command))
        assert code == 0, errors
        first = output[: output.index("Isolation")]
        words = " ".join(first.split())
        assert "Operators: llm, tune. LLM: m by " + server.url in words, words
        assert words.endswith("Without: --operator catalogue --operator merge.")

        history = open_history(run_dir)
        made = children(history, "mutate@m")
        assert made and all(n == 1 for n in asked(server).values())
        assert history.calls.tokens == 3100 * len(server.requests)
        lines = (run_dir / "journal.md").read_text().splitlines()
        assert [line.split()[1].rstrip(":") for line in lines if line.startswith("- ")] == list(history.candidates)
        assert any("activation number" in line and "expected -0.0" in line for line in lines)

        table = shown(capsys, "proposals", *where)
        outcomes = table.partition("What a proposal costs")[0]  # a live run also knows how arms are drawn now
        assert "mutate@m" in table and outcomes in output and f"{3100 * len(server.requests):,} tokens" in table
        one = shown(capsys, "show", made[0], *where)
        assert "by mutate@m from 0" in one and f"activation number {made[0]} suits bytes" in one

        assert "Resumed" in shown(capsys, *command)
        assert len(open_history(run_dir).candidates) == len(history.candidates)
        before = len(server.requests)
        assert server.url in shown(capsys, "resume", "--generations", "2", *where)
        assert open_history(run_dir).finished >= 4 and len(server.requests) > before
        assert all(n == 1 for n in asked(server).values())


def test_killed_while_calls_are_under_way(
    target: Path, run_dir: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first call is answered, the others hang until the process is dead."""
    killed = Event()

    def answer(received: Received) -> Says:
        if not killed.is_set() and key(received) != "ask/1/call/0":
            return Says(silent=2)
        return says(received)

    with FakeServer(answer) as server:
        command = small_run(target, run_dir, "--operator", "llm", "--llm-url", server.url)
        first = start("evolve", *command)
        until(lambda: len(bodies_or_none(run_dir, "tell")) == 2 and len(server.requests) >= 2, first)
        first.kill()
        first.wait()
        lost = {b["key"]: b["tokens"] for b in bodies(run_dir, "question")}
        got = [b["key"] for b in bodies(run_dir, "reply")]
        assert got == ["ask/1/call/0"]
        del lost["ask/1/call/0"]
        assert lost
        killed.set()
        shown(capsys, *command)
        counts = asked(server)
    assert {name for name, n in counts.items() if n > 1} == set(lost), (
        "what had no answer, and only that, is asked anew"
    )
    history = open_history(run_dir)
    assert "1" in children(history) and history.finished >= 2
    assert history.calls.tokens == 3100 * len(bodies(run_dir, "reply")) + sum(lost.values())


def test_killed_between_an_answer_and_its_child(
    target: Path, run_dir: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """A first answer that cannot be used is on record; the second turn hangs until the process is dead."""
    killed = Event()

    def answer(received: Received) -> Says:
        if key(received).endswith("/call/0"):
            return Says("I would rather talk about the weather.", usage=answers.USAGE)
        return says(received) if killed.is_set() else Says(silent=0)

    with FakeServer(answer) as server:
        command = small_run(target, run_dir, "--operator", "llm", "--llm-url", server.url, "--offspring", "1")
        first = start("evolve", *command)
        until(lambda: asked(server)["ask/1/call/1"], first)
        first.kill()
        first.wait()
        assert not bodies(run_dir, "proposal")
        killed.set()
        shown(capsys, *command)
        counts = asked(server)
    assert counts["ask/1/call/0"] == 1, "its answer was on record"
    assert counts["ask/1/call/1"] == 2
    history = open_history(run_dir)
    assert "1" in children(history) and history.candidates["1"].cost.calls == 2
    assert "This could not be used" in server.requests[-1].prompt


CAPS = {
    "tokens": (["--model", "m", "--max-tokens", "12000"], ["--max-tokens", "200000"], "12,000 tokens"),
    "dollars": (["--model", "claude-opus-5-5", "--max-usd", "0.07"], ["--max-usd", "5"], "0.07 USD"),
}


@pytest.mark.parametrize("unit", CAPS)
def test_a_cap_ends_the_asking_and_a_higher_one_goes_on(
    target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str], unit: str
) -> None:
    given, more, said = CAPS[unit]
    with FakeServer(says) as server:
        command = small_run(target, run_dir, "--llm-url", server.url, "--answer-tokens", "500", "--generations", "3")
        code, output, errors = ran(capsys, *command, "--operator", "llm", *given)
        assert code == 3, errors
        assert f"at most {said}" in " ".join(output.split())
        history = open_history(run_dir)
        assert f"the budget of {said} is used" in history.stopped and history.stopped in " ".join(output.split())
        tokens, usd = most_spent(run_dir)
        assert tokens <= 12_000 if unit == "tokens" else usd <= 0.07
        assert not history.calls.open and len(server.requests) == len(bodies(run_dir, "reply"))
        assert len(children(history)) == len(server.requests) >= 2, "what was paid for was used"

        shown(capsys, "resume", "--run-dir", run_dir, *more)
        after = open_history(run_dir)
        assert after.finished >= 6 and after.calls.spent() > history.calls.spent()
        assert children(after)[: len(children(history))] == children(history)


def test_after_the_cap_others_go_on(target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(says) as server:
        options = ["--operator", "llm", "--operator", "catalogue=0.5", "--answer-tokens", "500", "--generations", "3"]
        command = small_run(target, run_dir, "--llm-url", server.url, "--max-tokens", "6000", *options)
        code, output, errors = ran(capsys, *command)
    assert code == 0, errors
    history = open_history(run_dir)
    assert history.stopped == "3 generations done" and children(history, "catalogue")
    assert len(server.requests) == len(children(history, "mutate@local")) == 1
    words = " ".join(output.split())
    assert "the budget of 6,000 tokens is used" in words, words


def hidden(directory: Path, *texts: str) -> None:
    """The key is in no file of a run, packed or not, and in nothing that was printed."""
    files = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    store = Store.read(directory)
    files += [json.dumps([e.key, e.body]).encode() for e in store.events()]
    store.close()
    assert len(files) > 10
    assert not any(SECRET.encode() in data for data in [*files, *(text.encode() for text in texts)])


def test_a_key_that_is_not_accepted(target: Path, run_dir: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """At first it is: what was made until then is kept. The key is for the server alone."""
    go_on = Event()

    def answer(received: Received) -> Says | Fails:
        if answers.number(key(received)) > 2:
            go_on.wait(PATIENCE)
            return Fails(401, f"invalid x-api-key: {SECRET}", "authentication_error")
        return says(received)

    with FakeServer(answer) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        command = small_run(target, run_dir, "--model", "m", "--operator", "llm", "--generations", "9")
        process = start("evolve", *command)
        until(lambda: any(answers.number(name) > 2 for name in asked(server)), process)
        judges = psutil.Process(process.pid).children(recursive=True)
        environments = [judge.environ() for judge in judges]
        go_on.set()
        code, output, errors = ended(process)
    assert SECRET in server.requests[0].headers["authorization"]
    assert code == 3
    stopped = [line for line in output.splitlines() if line.startswith("Stopped")]
    assert len(stopped) == 1 and "ANTHROPIC_API_KEY" in output and "[key]" in output
    assert {"1", "2"} <= set(children(open_history(run_dir)))
    assert environments and all("PATH" in environment for environment in environments)
    assert not any(SECRET in value for environment in environments for value in environment.values())
    hidden(run_dir, output, errors)


def test_an_unknown_model_does_not_end_the_other(
    target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(received: Received) -> Says | Fails:
        return Fails(404, "model: b", "not_found_error") if received.model == "b" else says(received)

    with FakeServer(answer) as server:
        options = ["--model", "a", "--model", "b", "--operator", "llm", "--seed", "1", "--offspring", "8"]
        code, output, errors = ran(capsys, *small_run(target, run_dir, "--llm-url", server.url, *options))
    assert code == 0, errors
    history = open_history(run_dir)
    assert len(children(history, "@a")) >= 8 and not children(history, "@b")
    refusals = [c for c in history.candidates.values() if "@b" in c.operator]
    assert refusals and all("does not know the model b" in c.reason for c in refusals)
    assert "does not know the model b" in " ".join(output.split())


def test_no_key_and_no_server(target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, *small_run(target, run_dir, "--model", "claude-opus-5-5"))
    assert "ANTHROPIC_API_KEY" in error and "address of a local server" in error
    assert not bodies_or_none(run_dir, "run", "trial")


@pytest.mark.slow
def test_two_models(target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In two halves, so that the second has parents to choose from; the draws of its seed are rich in crossovers."""
    change(target / "judge.py", "0.5 * draw(source)", '(0.5 + 0.1 * draw(source)) * ("gelu" not in source)')
    with FakeServer(says) as server:
        options = ["--model", "a", "--model", "b", "--operator", "llm", "--offspring", "14", "--seed", "41"]
        command = small_run(target, run_dir, "--llm-url", server.url, *options)
        shown(capsys, *command)
        shown(capsys, *command, "--generations", "2")
    assert {received.model for received in server.requests} == {"a", "b"}
    history = open_history(run_dir)
    rows = [f"{way}@{model}" for way in ("mutate", "crossover") for model in ("a", "b")]
    assert {c.operator for c in history.candidates.values() if c.index} == set(rows)
    table = shown(capsys, "proposals", "--run-dir", run_dir)
    assert all(row in table for row in rows)
    assert any("# Places in conflict" in received.prompt for received in server.requests)
    assert any(len(history.candidates[name].parents) == 2 for name in children(history))


def test_who_crashes_is_mended_by_the_model(target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(received: Received) -> Says:
        broken = answers.number(key(received)) == 1
        return Says(answers.crash(1), usage=answers.USAGE) if broken else says(received)

    with FakeServer(answer) as server:
        options = ["--operator", "llm", "--llm-url", server.url]
        code, _, errors = ran(capsys, *small_run(target, run_dir, *options))
    assert code == 0, errors
    history = open_history(run_dir)
    assert history.candidates["1"].verdict == "failed"
    mended = [c for c in history.candidates.values() if c.operator == "repair@local"]
    assert [c.parents for c in mended] == [("1",)] and mended[0].rung
    prompt = next(r.prompt for r in server.requests if answers.CRASHED in r.prompt)
    assert "RuntimeError" in prompt


def test_recorded_answers_make_children_without_a_server(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with FakeServer(says) as server:
        command = small_run(target, first, "--operator", "llm", "--llm-url", server.url, "--generations", "2")
        assert ran(capsys, *command)[0] == 0
    options = ["--operator", "llm", "--llm", f"replay:{first}"]
    code, output, errors = ran(capsys, *small_run(target, second, *options))
    assert code == 0, errors
    assert f"the answers recorded in {first}" in "".join(output.splitlines())
    recorded = {b["text"] for b in bodies(first, "reply")}
    used = [b["text"] for b in bodies(second, "reply")]
    assert used and recorded >= set(used) and len(set(used)) == len(used)
    history = open_history(second)
    sources = {c.genome.source for c in open_history(first).candidates.values()}
    assert history.finished >= 2 and history.candidates["1"].genome.source in sources

    silent = tmp_path / "silent"
    assert main(small_run(target, silent, "--operator", "catalogue")) == 0
    error = refused(capsys, *small_run(target, tmp_path / "third", "--llm", f"replay:{silent}"))
    assert "no language model answered" in error
    assert "no such run directory" in refused(capsys, *small_run(target, tmp_path / "3", "--llm", "replay:nowhere"))
    (tmp_path / "empty").mkdir()
    assert "no run in" in refused(capsys, *small_run(target, tmp_path / "3", "--llm", f"replay:{tmp_path / 'empty'}"))


ANSWERER = """
while :; do
  found=$(sh "$1")
  [ "$found" = closed ] && exit 0
  [ -n "$found" ] || continue
  name=$(basename "$found" .md)
  n=$(echo "$name" | cut -d- -f2)
  (echo "model: $2"; sed "s/NUMBER/$n/" <<'END'
HYPOTHESIS: a layer of its own
EXPECT: -0.01
IDEA: none

EDIT insert_after MLP
```python
class LayerNUMBER(nn.Module):
    def forward(self, x):
        return x
```
END
  ) > claimed/$name.draft
  mv claimed/$name.draft answers/$name.md
done
"""


@pytest.fixture
def answerers(tmp_path: Path) -> Iterator[Callable[[Path, int], list[subprocess.Popen[str]]]]:
    """Shells that do what a mailbox's README says."""
    begun: list[subprocess.Popen[str]] = []

    def begin(box: Path, count: int) -> list[subprocess.Popen[str]]:
        readme = (box / "README.md").read_text()
        steps = [re.sub("^   ", "", step, flags=re.M) for step in re.findall(r"```sh\n(.*?)```", readme, re.S)]
        assert "mv claimed/NAME.draft answers/NAME.md" in steps[1]
        (tmp_path / "claim.sh").write_text(steps[0])
        (tmp_path / "answer.sh").write_text(ANSWERER)
        for name in range(count):
            command = ["sh", str(tmp_path / "answer.sh"), str(tmp_path / "claim.sh"), f"shell-{name}"]
            begun.append(subprocess.Popen(command, cwd=box, text=True, start_new_session=True))
        return begun

    yield begin
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_several_answerers_of_a_mailbox(
    target: Path, run_dir: Path, tmp_path: Path, start: Start, answerers: Callable[..., list[subprocess.Popen[str]]]
) -> None:
    box = tmp_path / "box"
    options = ["--operator", "llm", "--llm", f"mailbox:{box}", "--offspring", "4"]
    process = start("evolve", *small_run(target, run_dir, *options))
    until(lambda: list(box.glob("open/*.md")), process)
    shells = answerers(box, 3)
    code, output, errors = ended(process)
    assert code == 0, errors
    assert f"the mailbox {box}" in "".join(output.splitlines())
    history = open_history(run_dir)
    assert len(children(history, "@mailbox")) >= 4
    assert {b["model"] for b in bodies(run_dir, "reply") if "model" in b} <= {f"mailbox/shell-{n}" for n in range(3)}
    assert [shell.wait(10) for shell in shells] == [0, 0, 0], "who reads `closed` stops"
    assert not list(box.glob("open/*"))


@pytest.mark.slow
def test_a_mailbox_over_an_interruption(
    target: Path, run_dir: Path, tmp_path: Path, start: Start, answerers: Callable[..., list[subprocess.Popen[str]]]
) -> None:
    """One question is claimed when the run is stopped, and answered before it goes on."""
    box = tmp_path / "box"
    command = small_run(target, run_dir, "--operator", "llm", "--llm", f"mailbox:{box}")
    process = start("evolve", *command)
    until(lambda: len(list(box.glob("open/*.md"))) == 2, process)
    question = min(box.glob("open/*.md"))
    claimed = question.rename(box / "claimed" / question.name)
    process.send_signal(signal.SIGINT)
    code, _, _ = ended(process)
    assert code == 130
    assert not list(box.glob("open/*")) and claimed.exists() and (box / "closed").exists()

    n = answers.number(claimed.name.replace("-", "/"))
    claimed.with_suffix(".draft").write_text(answers.edit(n))
    claimed.with_suffix(".draft").rename(box / "answers" / claimed.name)
    process = start("evolve", *command)
    until(lambda: list(box.glob("open/*.md")), process)
    answerers(box, 1)
    code, _, errors = ended(process)
    assert code == 0, errors
    history = open_history(run_dir)
    assert history.candidates[str(n)].hypothesis == f"activation number {n} suits bytes"
    assert len(children(history)) >= 2
    assert (box / "done" / f"{claimed.stem}.answer.md").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--llm", "nonsense"], "write api, mailbox:DIR or replay:RUN_DIRECTORY"),
        (["--llm", "mailbox"], "write api, mailbox:DIR"),
        (["--llm", "api"], "needs a model"),
        (["--model", "m", "--model", "m"], "different names"),
        (["--model", "a@b"], "without @"),
        (["--model", "m", "--llm-extra", "no JSON"], "it is no JSON"),
        (["--model", "m", "--llm-extra", "[1]"], "write a JSON object"),
        (["--model", "m", "--llm-extra", '{"temperature": NaN}'], "NaN is no number"),
        (["--operator", "llm"], "has no model"),
        (["--model", "m", "--operator", "catalogue"], "no operator asks it"),
        (["--model", "m", "--max-usd", "-1"], "--max-usd must be"),
        (["--model", "m", "--max-usd", "nan"], "--max-usd must be"),
        (["--model", "m", "--max-usd", "inf"], "--max-usd must be"),
        (["--model", "m", "--max-tokens", "-1"], "--max-tokens must be"),
        (["--model", "m", "--answer-tokens", "0"], "--answer-tokens must be"),
        (["--model", "m", "--llm-timeout", "0"], "--llm-timeout must be"),
    ],
)
def test_options_that_make_no_sense(
    target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    assert reason in refused(capsys, *small_run(target, run_dir, *options))
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "m", "--llm-url", "ftp://nowhere"], "http://"),
        (["--llm", "mailbox:target"], "holds other things"),
    ],
)
def test_places_that_cannot_be_asked(
    target: Path,
    run_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    reason: str,
) -> None:
    monkeypatch.chdir(target.parent)
    assert reason in refused(capsys, *small_run(target, run_dir, *options))
    assert not bodies_or_none(run_dir, "run", "trial")


def test_other_models_are_another_run(target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(says) as server:
        command = small_run(target, run_dir, "--llm-url", server.url, "--offspring", "1")
        shown(capsys, *command, "--model", "m")
        before = (run_dir / "run.sqlite").read_bytes()
        assert "models was ['m'], now ['n']" in refused(capsys, *command, "--model", "n")
        assert (run_dir / "run.sqlite").read_bytes() == before


HANGS = {
    "silence": Says(silent=0),
    "a stream that stops": pytest.param(Says(silent=3), marks=pytest.mark.slow),
    "a long wait": Fails(429, "slow down", headers={"retry-after": "300"}),
}


@pytest.mark.parametrize("answer", HANGS.values(), ids=HANGS)
def test_ctrl_c_while_a_call_hangs(
    target: Path, run_dir: Path, start: Start, capsys: pytest.CaptureFixture[str], answer: Says | Fails
) -> None:
    stopped = Event()
    with FakeServer(lambda received: says(received) if stopped.is_set() else answer) as server:
        process = start("evolve", *small_run(target, run_dir, "--operator", "llm", "--llm-url", server.url))
        until(lambda: len(server.requests) >= 2, process)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, output, errors = ended(process)
        assert code == 130 and time.monotonic() - begin < 6, (code, errors)
        assert "Traceback" not in errors, errors
        history = open_history(run_dir)
        assert history.stopped == "interrupted" and list(history.candidates) == ["0"]
        stopped.set()
        shown(capsys, "resume", "--run-dir", run_dir)
    assert {"1", "2"} <= set(children(open_history(run_dir)))


def test_what_people_write_is_in_the_next_prompt(
    target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The task, a note and the lessons are changed by the time that the first question arrives."""
    (target / "program.md").write_text("Words of before.")
    (target / "ideas").mkdir()
    (target / "ideas" / "old_note.md").write_text("An old note.")

    def answer(received: Received) -> Says:
        if "Words of before." in received.prompt:
            (target / "program.md").write_text("Words of after.")
            (target / "ideas" / "old_note.md").unlink(missing_ok=True)
            (target / "ideas" / "new_note.md").write_text("A new note.")
            (run_dir / "lessons.md").write_text("* ! a lesson by hand\n")
        name = "new_note" if "A new note." in received.prompt else "none"
        return Says(answers.edit(answers.number(key(received)), idea=name), usage=answers.USAGE)

    with FakeServer(answer) as server:
        options = ["--operator", "llm", "--llm-url", server.url, "--generations", "3"]
        code, output, errors = ran(capsys, *small_run(target, run_dir, *options))
    assert code == 0, errors
    first, last = server.requests[0].prompt, server.requests[-1].prompt
    assert "Words of before." in first and "An old note." in first and "a lesson by hand" not in first
    assert "Words of after." in last and "Words of before." not in last
    assert "A new note." in last and "An old note." not in last and "a lesson by hand" in last
    used = [c for c in open_history(run_dir).candidates.values() if c.idea == "new_note"]
    assert used and "new_note" in output[output.index("Notes that were used") :]


def test_without_a_model_the_catalogue_makes_the_children(
    target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, errors = ran(capsys, *small_run(target, run_dir, "--operator", "auto"))
    assert code == 0, errors
    words = " ".join(output[: output.index("Isolation")].split())
    assert words.startswith("Operators: catalogue, merge, tune. No LLM")
    assert all(way in words for way in ("--model", "ANTHROPIC_API_KEY", "--llm-url", "--llm mailbox:DIR"))
    assert "Proposals by outcome" not in output and not bodies(run_dir, "question")
