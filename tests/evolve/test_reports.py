"""What a reader is shown of a run: true, complete, and not upset by odd text."""

from __future__ import annotations

import io
import os
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evolve import records
from evolve.cli import main
from evolve.config import ConfigError
from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.language_options import model_options
from evolve.model import Candidate, Estimate, Fitness, Genome, Outcome, Params, Trial
from evolve.reports.columns import lines_changed, with_error
from evolve.reports.doctor import print_models
from evolve.reports.front import beats_seed, controls, gain, print_front, verdict
from evolve.reports.open import find_candidate, find_program, find_run, open_history
from evolve.reports.progress import Progress, clock
from evolve.reports.proposals import costs, outcomes
from evolve.reports.show import print_candidate
from evolve.store import Store, StoreError
from tests.evolve import toy
from tests.evolve.individuals import individual
from tests.evolve.runs import run, told


def printed(show: Callable[[Console], None]) -> str:
    out = StringIO()
    show(Console(file=out, width=200))
    return out.getvalue()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of six generations."""
    path = tmp_path_factory.mktemp("run")
    run(path, 6)
    return path


@pytest.fixture
def history(directory: Path) -> History:
    return open_history(directory)


def seed_with(loss: float, sem: float | None) -> Candidate:
    values = {"loss": Estimate(loss, 3, sem), "seconds_to_target": Estimate(1.0, 3, 0.0)}
    return replace(individual(0), fitness=Fitness(values))


@pytest.fixture
def small() -> History:
    """A seed with the loss 3 ± 0.03, and nothing else."""
    return told(seed_with(3.0, 0.03))


def test_numbers_are_shown_with_their_error_and_count() -> None:
    assert with_error(None) == "-"
    assert with_error(Estimate(3.14159, 1)) == "3.1416 (1)"
    shown = with_error(Estimate(3.14159, 3, 0.00123))
    assert shown.startswith("3.1416") and "0.0012" in shown and "(3)" in shown
    assert with_error(Estimate(1.25, 3, None, True), 2) == "<1.25 (3)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (844, "0:14:04"), (3599.5, "1:00:00"), (360_000, "100:00:00")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("loss", "sem", "n", "wins"),
    [
        (2.85, 0.04, 3, True),  # 0.15 against 2 x 0.05
        (2.91, 0.04, 3, False),
        (3.5, 0.0, 3, False),
        (1.0, None, 1, False),  # not confirmed
    ],
)
def test_a_win_is_two_standard_errors_of_the_difference(
    small: History, loss: float, sem: float | None, n: int, wins: bool
) -> None:
    values = {"loss": Estimate(loss, n, sem), "seconds_to_target": Estimate(0.9, n, sem)}
    child = replace(individual(1, parents=(0,)), fitness=Fitness(values))
    small.search.tell(child)
    assert beats_seed(small, child) is wins
    assert not beats_seed(small, find_candidate(small, "seed"))
    assert verdict(small).startswith("1 beats the seed by" if wins else "Nothing beats the seed")
    if sem == 0.04:
        assert gain(small, child) == (pytest.approx(3.0 - loss), pytest.approx(0.05))


def test_a_win_without_any_spread_can_be_shown() -> None:
    history = toy.new_history()
    history.search.tell(seed_with(3.0, 0.0))
    history.search.tell(replace(seed_with(2.0, 0.0), id="1", index=1, parents=("0",)))
    assert "1 beats the seed by 1.0000" in verdict(history)


def test_lines_changed() -> None:
    assert lines_changed("a\nb\nc", "a\nb\nc") == 0
    assert lines_changed("a\nb\nc", "a\nB\nc\nd") == 3


def test_the_front_shows_every_member_and_the_seed(history: History) -> None:
    text = printed(lambda console: print_front(console, history))
    for candidate in history.front:
        assert any(line.split()[:1] == [candidate.id] for line in text.splitlines())
    assert "\nseed " in text and verdict(history) in text.replace("\n", " ")


def test_a_run_of_which_only_the_beginning_is_known(tmp_path: Path) -> None:
    """Viewers may look at any moment: before the first event, after the header, while the seed is measured."""
    with pytest.raises(StoreError, match="no run in"):
        open_history(tmp_path)
    executor = InlineExecutor(toy.run_trial)
    loop = toy.make_loop(tmp_path, 1, executor)
    assert "not been measured yet" in printed(lambda console: print_front(console, open_history(tmp_path)))
    with pytest.raises(ConfigError, match="no candidate 'best': nobody is on the front"):
        find_candidate(open_history(tmp_path), "best")
    loop.store.close()
    executor.close()


def test_a_run_without_any_event_has_not_begun(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with pytest.raises(ConfigError, match="has not begun"):
        open_history(tmp_path)


def test_a_reader_sees_what_the_run_saw(directory: Path, history: History) -> None:
    store = Store.read(directory)
    replayed = toy.new_history()
    replayed.replay(store.events())
    store.close()
    assert history.candidates == replayed.candidates and history.front == replayed.front
    assert history.search.population == replayed.search.population


def test_candidates_by_name(history: History) -> None:
    assert find_candidate(history, "seed").index == 0 and find_candidate(history, "0").index == 0
    assert find_candidate(history, "best") == history.front[0]
    assert find_candidate(history, "3").index == 3
    for name in ("999", "-1", "", "Best"):
        with pytest.raises(ConfigError, match="ids are 0 .*on the front"):
            find_candidate(history, name)


def begun(directory: Path) -> None:
    store = Store.open(directory)
    store.append("run", "run", {})
    store.close()


def test_the_run_that_was_written_last_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no run under runs/.*--run-dir"):
        find_run(None)
    Store.open(Path("runs/never-began")).close()
    with pytest.raises(ConfigError, match="no run under runs/.*--run-dir"):
        find_run(None)
    for name in ("a", "b"):
        begun(Path("runs") / name)

    os.utime("runs/a/run.sqlite", (2e9, 2e9))
    os.utime("runs/never-began/run.sqlite", (3e9, 3e9))
    assert find_run(None) == Path("runs/a") and find_run("elsewhere") == Path("elsewhere")


def test_every_candidate_can_be_shown(history: History) -> None:
    for candidate in history.candidates.values():
        text = printed(lambda console, c=candidate: print_candidate(console, history, c))  # type: ignore[misc]
        assert text.startswith(f"Candidate {candidate.id}: {candidate.verdict}")
        assert candidate.reason in text.replace("\n", " ") and all(f"{p} " in text for p in candidate.parents)


@pytest.mark.parametrize("odd", ["[/bold] [red]", "naïve 模型 🙂", "[link=x", "a\x00b\x1b[31m", "\\[x]"])
def test_odd_text_is_shown_and_does_no_harm(history: History, odd: str) -> None:
    candidate = replace(find_candidate(history, "best"), reason=odd, hypothesis=f"{odd}: why")
    text = printed(lambda console: print_candidate(console, history, candidate))
    assert "why: " + odd.split("\x00")[0] in text


def test_an_infeasible_candidate_is_called_so(history: History) -> None:
    fitness = Fitness({"loss": Estimate(3.5, 1)}, 0.25)
    candidate = replace(find_candidate(history, "1"), verdict="ok", fitness=fitness)
    text = printed(lambda console: print_candidate(console, history, candidate))
    assert "stands: infeasible: it does not reach the seed's loss; 0.2500 above the seed's loss; not confirmed" in text


def test_the_last_log_is_shown(tmp_path: Path) -> None:
    def noisy(trial: Trial):  # type: ignore[no-untyped-def]
        return replace(toy.run_trial(trial), log_tail="first\n[bold]last words[/bold]")

    _, loop = run(tmp_path, 1, noisy)
    shown = printed(lambda console: print_candidate(console, loop.history, loop.history.candidates["0"]))
    assert "[bold]last words[/bold]" in shown


def test_progress_tells_where_a_run_is(directory: Path) -> None:
    executor = InlineExecutor(toy.run_trial)
    loop = toy.make_loop(directory, 6, executor)
    progress = Progress(Console(file=StringIO()))
    progress(loop)
    facts = progress.facts(loop)
    assert facts["generation"].startswith("6/6") and facts["candidates"] == str(loop.history.finished)
    assert facts["best"] == with_error(loop.history.best_loss) and facts["remaining"] == "not known yet"
    assert f"{loop.history.statuses['ok']} ok" in facts["trials"]
    executor.close()
    loop.store.close()


def test_records_of_every_candidate_of_a_run_come_back(history: History) -> None:
    for candidate in history.candidates.values():
        assert records.candidate_from(records.candidate_record(candidate), history.genomes) == candidate


def test_progress_of_a_run_without_a_limit_of_generations(directory: Path) -> None:
    executor = InlineExecutor(toy.run_trial)
    loop = toy.make_loop(directory, 0, executor, total=1e6)
    progress = Progress(Console(file=StringIO()))
    facts = progress.facts(loop)
    assert facts["generation"] == "6" and facts["remaining"] == "until a criterion is met"
    executor.close()
    loop.store.close()


def test_a_run_is_as_new_as_its_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run is on, and after a kill, the newest events are not in the main file."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        begun(Path("runs") / name)
    os.utime("runs/b/run.sqlite", (2e9, 2e9))
    Path("runs/a/run.sqlite-wal").touch()
    os.utime("runs/a/run.sqlite-wal", (2.1e9, 2.1e9))
    assert find_run(None) == Path("runs/a")


def test_a_child_that_was_never_made_has_no_program(history: History) -> None:
    """Its record holds the text of its parent, which would be exported under its name."""
    child = next(c for c in history.candidates.values() if c.index > 0)
    refused = replace(child, verdict="rejected", reason="has t1 already", fitness=None)
    history.search.tell(refused)
    assert find_candidate(history, refused.id) is refused
    with pytest.raises(ConfigError, match=f"candidate {refused.id} has no program: it was refused"):
        find_program(history, refused.id)
    assert find_program(history, "seed").index == 0


def test_a_candidate_that_is_under_way_is_not_called_unknown(history: History) -> None:
    del history.candidates["3"]
    with pytest.raises(
        ConfigError, match="candidate 3 was left unfinished when the run stopped: `resume` goes on with"
    ):
        find_candidate(history, "3")
    history.stopped = ""  # it is on, or its process died
    with pytest.raises(
        ConfigError, match="3 is not finished: try again later, or, if `front` does not say that the run"
    ):
        find_candidate(history, "3")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs a command with a standard output of an encoding; returns its exit code and what was written."""

    def run(encoding: str, *arguments: str) -> tuple[int, str]:
        out = io.BytesIO()
        stream = io.TextIOWrapper(out, encoding=encoding)
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            code = main(arguments)
            stream.flush()
        return code, out.getvalue().decode(encoding if encoding != "ascii" else "utf-8")

    return run


def test_a_terminal_that_lacks_a_character_is_shown_the_rest(
    directory: Path, history: History, shown: Callable[..., tuple[int, str]]
) -> None:
    code, text = shown("ascii", "front", "--run-dir", str(directory))
    assert code == 0 and "?" in text and "±" not in text and f"\n{history.front[0].id} " in text
    assert "±" in shown("utf-8", "front", "--run-dir", str(directory))[1]


def test_a_program_that_is_piped_has_its_own_bytes(
    directory: Path, shown: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program reads it: there, unlike on a terminal, a question mark would be a fault."""

    class Reader:
        def bind(self, genome: Genome, params: Params) -> str:
            return f"# ± of {genome.source}\n"

    monkeypatch.setattr("evolve.plugins.reader_for", lambda header, target: Reader())
    code, text = shown("ascii", "diff", "seed", "best", "--plain", "--run-dir", str(directory))
    assert code == 0 and "\n # ± of lr = 1.0\n" in text
    assert shown("ascii", "export", "seed", "--run-dir", str(directory)) == (0, "# ± of lr = 1.0\n")


def test_no_text_of_a_program_becomes_a_picture(tmp_path: Path, shown: Callable[..., tuple[int, str]]) -> None:
    def slices(trial: Trial) -> Outcome:
        return replace(toy.run_trial(trial), log_tail="y = x[:100:] + a:x:b")

    run(tmp_path, 1, slices)
    assert "y = x[:100:] + a:x:b" in shown("utf-8", "show", "seed", "--run-dir", str(tmp_path))[1]


@pytest.mark.parametrize("options", [("--sort", "xx"), ("--max-seconds", "-1")])
def test_a_view_that_makes_no_sense_is_refused_before_anything_is_said(
    directory: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    assert main(["front", *options, "--run-dir", str(directory)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("evolve: ") and len(said.err.splitlines()) == 1


def test_what_the_seed_gives_again_is_shown_beside_the_first_time(history: History) -> None:
    first = history.study("ask/0").trials[0][1]
    assert f"Control: the seed at 0.25 of the budget gave {first:.4f} at first and {first:.4f} " in controls(history)
    assert controls(history) in printed(lambda console: print_front(console, history))
    history.controls = [replace(history.controls[0], status="crashed", metrics={}), *history.controls[:2]]
    assert "standard deviation of 0.0000 in 2 runs since; 1 more failed." in controls(history)
    history.controls = []
    assert controls(history) == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_an_operator_that_ends_is_spoken_of_at_once_and_once(tmp_path: Path, terminal: bool) -> None:
    executor, out = InlineExecutor(toy.run_trial), StringIO()
    loop = toy.make_loop(tmp_path, 1, executor)
    with Progress(Console(file=out, force_terminal=terminal, width=200)) as progress:
        progress(loop)
        assert "Asked no longer" not in out.getvalue()
        for operator in ("mutate@m", "crossover@m"):
            loop.history.ended[operator] = "the server does not know [m]"
            progress(loop)
            assert f"Asked no longer: {operator}, the server does not know [m].\n" in out.getvalue().replace("\r", "")
            progress(loop)
    assert out.getvalue().count("Asked no longer") == 2
    executor.close()
    loop.store.close()


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_a_reason_is_no_markup_in_the_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A dumb terminal has lines instead of a panel."""
    monkeypatch.setenv("TERM", kind)
    executor, out = InlineExecutor(toy.run_trial), StringIO()
    loop = toy.make_loop(tmp_path, 1, executor)
    loop.history.refusals, loop.history.last_refusal = 9, "[/bold] is no tag"
    with Progress(Console(file=out, force_terminal=True, width=200)) as progress:
        progress(loop)
    assert "9 ([/bold] is no tag)" in out.getvalue()
    executor.close()
    loop.store.close()


def test_a_live_run_shows_who_would_be_drawn_now(directory: Path, history: History) -> None:
    executor = InlineExecutor(toy.run_trial)
    loop = toy.make_loop(directory, 6, executor)
    table = printed(lambda console: console.print(costs(loop.history)))
    shares = loop.history.search.arms.shares()
    cells = [line.split() for line in table.splitlines() if line.strip()]
    rows = {row[0]: row[-1] for row in cells if row[0] in ("grow", "tune")}
    assert cells[1][-1] == "now" and rows == {name: f"{shares[name]:.0%}" for name in ("grow", "tune")}
    assert "now" not in printed(lambda console: console.print(costs(history))).split()
    executor.close()
    loop.store.close()


def test_the_name_of_an_operator_is_no_markup(history: History) -> None:
    child = next(c for c in history.candidates.values() if c.index)
    history.candidates[child.id] = replace(child, operator="mutate@[red]m[/x]")
    for table in (outcomes, costs):
        assert "mutate@[red]m[/x]" in printed(lambda console, t=table: console.print(t(history)))  # type: ignore[misc]


def doctored(*arguments: str) -> tuple[bool, str]:
    """What the doctor says of language models."""
    parser = ArgumentParser()
    model_options(parser)
    parser.add_argument("--ask", action="store_true")
    out = StringIO()
    ok = print_models(Console(file=out, width=300), parser.parse_args(arguments), Path("prices.toml"))
    return ok, out.getvalue()


def test_the_doctor_looks_whether_a_mailbox_can_be_there(tmp_path: Path) -> None:
    ok, said = doctored("--llm", f"mailbox:{tmp_path}/a/b")
    assert ok and said.startswith("yes LLM mailbox: questions will be put into the folder ")
    assert not list(tmp_path.iterdir()), "looking leaves nothing behind"
    (tmp_path / "file").touch()
    for place in (f"{tmp_path}/file/box", "/proc/nope"):
        ok, said = doctored("--llm", f"mailbox:{place}")
        assert not ok and said.startswith(f"no  LLM mailbox: no questions can be put into {place}: ")


def test_the_doctor_looks_whether_a_recorded_run_is_there(directory: Path) -> None:
    ok, said = doctored("--llm", f"replay:{directory}/nope")
    assert not ok and said.startswith("no  LLM: ") and "no such run directory" in said
    assert doctored("--llm", f"replay:{directory}")[0]
