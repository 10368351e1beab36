"""The desk: what is written down and when, what is counted as spent, and that caps hold for calls in flight."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Lock, Thread

import pytest

from evolve.calls import Calls, CallWriter
from evolve.model import Cost
from operators.llm.desk import Caps, Desk, estimated
from operators.llm.prices import Price, Prices
from operators.llm.wire import Block, Reply, Request, TooLong, Turn, Unanswered, Usage
from tests.llm.script import USAGE, MemoryCallLog, Said, Script, always, in_turn

PRICES = Prices({"dear": Price(10.0, 1.0, 12.5, 50.0), "cheap": Price(1.0, 0.1, 1.25, 5.0)})
REQUEST = Request("dear", (Block("who you are", True),), (Turn("user", (Block("x" * 239),)),), 200, "mutate")
MOST = 150 + 200  # tokens of the question, rather too many, and of the longest answer
Record = Callable[[str, str, dict[str, object]], None]
DEADLINE = 10.0  # seconds after which something that should have ended hangs


def new_desk(
    transport: Script, log: CallWriter | None = None, caps: Caps | None = None, said: list[str] | None = None
) -> Desk:
    said = [] if said is None else said
    return Desk(transport, log or MemoryCallLog(), PRICES, caps or Caps(), said.append)


def test_the_question_is_written_before_it_is_sent_and_the_answer_before_it_is_read() -> None:
    log, seen = MemoryCallLog(), []

    def said(request: Request) -> Said:
        seen.append((log.kinds, log.lines.written[0][2]))
        return "an answer"

    reply, cost = new_desk(Script(said), log).ask("ask/1/call/0", REQUEST)
    [(kinds, question)] = seen
    assert kinds == ["question"] and log.kinds == ["question", "reply"]
    assert (question["key"], question["way"], question["tokens"]) == ("ask/1/call/0", "mutate", MOST)
    assert question["usd"] == pytest.approx((150 * 12.5 + 200 * 50) / 1e6)
    assert question["request"]["turns"][0]["blocks"][0]["text"] == "x" * 239
    answer = log.lines.written[1][2]
    assert (answer["text"], answer["stop"], answer["model"]) == ("an answer", "end_turn", "dear")
    assert (answer["tokens"], answer["estimated"]) == (3700, False) and answer["seconds"] >= 0
    assert reply == Reply("an answer", "end_turn", "dear", USAGE)
    assert cost == Cost(0.0, 1, 1300, 2000, 400, pytest.approx((1000 * 10 + 2000 + 300 * 12.5 + 400 * 50) / 1e6))


def test_an_answer_on_record_is_not_asked_for_again() -> None:
    log = MemoryCallLog()
    first = new_desk(always("an answer"), log).ask("ask/1/call/0", REQUEST)
    desk = new_desk(in_turn(), MemoryCallLog(log.lines.written))
    assert desk.ask("ask/1/call/0", REQUEST) == first


def test_a_failure_on_record_is_no_answer() -> None:
    """After a restart the same question is asked again: the key may be right by now."""
    log = MemoryCallLog()
    with pytest.raises(Unanswered):
        new_desk(always(Unanswered("no such key", "run")), log).ask("ask/1/call/0", REQUEST)
    later = MemoryCallLog(log.lines.written)
    assert new_desk(always("an answer"), later).ask("ask/1/call/0", REQUEST)[0].text == "an answer"
    assert later.kinds == ["question", "reply"] * 2


@pytest.mark.parametrize("usage", [None, Usage(input=150, output=10)])
@pytest.mark.parametrize("kind", [Unanswered, TooLong])
def test_a_failed_call_costs_what_was_consumed(kind: type[Unanswered], usage: Usage | None) -> None:
    log = MemoryCallLog()
    with pytest.raises(kind, match="broken pipe"):
        new_desk(always(kind("broken pipe", "run", usage)), log).ask("ask/1/call/0", REQUEST)
    assert log.lines.written[1][2]["error"] == "broken pipe"
    assert log.spent() == ((160, pytest.approx((150 * 10 + 10 * 50) / 1e6)) if usage else (0, 0))


def test_only_an_interrupted_question_is_asked_again_in_the_same_words() -> None:
    log = MemoryCallLog()
    desk = new_desk(Script(lambda request: Unanswered("broken pipe")), log)
    with pytest.raises(Unanswered):
        desk.ask("ask/1/call/0", REQUEST)
    assert desk.earlier("ask/1/call/0") is None and "again" not in log.lines.written[-1][2]

    def interrupted(request: Request) -> Said:
        desk.close()
        return Unanswered("closed")

    desk = new_desk(Script(interrupted), log)
    with pytest.raises(Unanswered):
        desk.ask("ask/2/call/0", REQUEST)
    later = new_desk(in_turn(), MemoryCallLog(log.lines.written))
    assert later.earlier("ask/2/call/0") == REQUEST and later.earlier("ask/1/call/0") is None


@pytest.mark.parametrize("length", [0, 1, 2500])
def test_usage_that_a_server_does_not_tell_is_estimated_upwards(length: int) -> None:
    log = MemoryCallLog()
    _, cost = new_desk(Script(lambda request: "y" * length, usage=None), log).ask("ask/1/call/0", REQUEST)
    assert log.lines.written[1][2]["estimated"] is True
    assert cost.input == estimated(REQUEST) == 150 and length / 2.5 <= cost.output <= length / 2.5 + 1


@pytest.mark.parametrize(
    ("asked", "answered", "usd"),
    [
        ("cheap", "dear-20261101", 50.0),
        ("dear", "cheap-20261101", 50.0),
        ("cheap", "cheap", 5.0),
        ("cheap", "gateway/unknown", 5.0),
        ("unknown", "cheap", 5.0),
    ],
)
def test_the_dearer_of_who_was_asked_and_who_answered_is_paid(asked: str, answered: str, usd: float) -> None:
    desk = new_desk(always(Reply("an answer", "end_turn", answered, Usage(output=1_000_000))))
    assert desk.ask("ask/1/call/0", replace(REQUEST, model=asked))[1].usd == pytest.approx(usd)


class Searching(Script):
    """A model whose server may search: four calls for a question, and twelve searches."""

    calls_at_most = 4
    searches_at_most = 12


def test_all_calls_and_searches_of_a_question_are_reserved() -> None:
    log, seen = MemoryCallLog(), []

    def said(request: Request) -> Said:
        seen.append(log.spent())
        return "an answer"

    new_desk(Searching(said), log).ask("ask/1/call/0", REQUEST)
    read = 4 * 150 + (1 + 2 + 3) * 200 + 12 * 10_000  # each call reads what was answered before it, and what was found
    assert seen == [(read + 4 * 200, pytest.approx((read * 12.5 + 4 * 200 * 50) / 1e6 + 12 * 0.01))]


def test_a_price_that_is_not_known_is_said_once() -> None:
    said: list[str] = []
    desk = new_desk(always("an answer"), caps=Caps(usd=1.0), said=said)
    for i in range(3):
        assert desk.ask(f"ask/{i}/call/0", replace(REQUEST, model="own"))[1].usd == 0
    desk.ask("ask/9/call/0", REQUEST)
    assert said == ["no price is known for own: its tokens are counted, its dollars are not"]


USED = Usage(input=100, output=50)
DOLLARS_MOST = (150 * 12.5 + 200 * 50) / 1e6


@pytest.mark.parametrize("caps", [Caps(tokens=5 * MOST), Caps(usd=5.5 * DOLLARS_MOST), Caps(0.05, 2000)])
def test_spent_and_reserved_never_exceed_a_cap(caps: Caps) -> None:
    """Eight threads, slow answers: looked at whenever a line is written."""
    highest = [0.0, 0.0]

    class Watched(Calls):
        def look(self) -> None:
            for i, value in enumerate(self.spent()):
                highest[i] = max(highest[i], value)

        def on_question(self, body):  # type: ignore[no-untyped-def]
            super().on_question(body)
            self.look()

        def on_reply(self, body):  # type: ignore[no-untyped-def]
            super().on_reply(body)
            self.look()

    calls = Watched()
    guard = Lock()

    class Records:
        def record(self, kind, key, body):  # type: ignore[no-untyped-def]
            with guard:
                {"question": calls.on_question, "reply": calls.on_reply}[kind](body)

    def said(request: Request) -> Said:
        time.sleep(0.002)
        return "an answer"

    script = Script(said, USED)
    desk = new_desk(script, CallWriter(Records(), calls), caps)

    def ask(i: int) -> str:
        try:
            return desk.ask(f"ask/{i}/call/0", REQUEST)[0].text
        except Unanswered as error:
            return error.ends

    with ThreadPoolExecutor(8) as threads:
        ended = list(threads.map(ask, range(60)))
    most = (caps.tokens or 1e9, caps.usd or 1e9)
    assert all(high <= cap for high, cap in zip(highest, most, strict=True))
    assert set(ended) == {"an answer", "operator"} and ended.count("an answer") == len(script.sent) >= 5
    room = most[0] - calls.spent()[0], most[1] - calls.spent()[1]
    assert room[0] < MOST or room[1] < DOLLARS_MOST, "the rest would not have been enough for another call"


class Held:
    """A scripted model that answers when it is told to."""

    def __init__(self, usage: Usage = USED) -> None:
        self.begun, self.answer = Event(), Event()
        self.script = Script(self._said, usage)

    def _said(self, request: Request) -> Said:
        self.begun.set()
        self.answer.wait(DEADLINE)
        return "an answer"


def waiting(desk: Desk, threads: ThreadPoolExecutor, held: Held) -> tuple[Future[object], Future[object]]:
    """A call in flight, and one that does not fit below the cap until that is answered."""
    first = threads.submit(desk.ask, "ask/1/call/0", REQUEST)
    assert held.begun.wait(DEADLINE)
    second = threads.submit(desk.ask, "ask/2/call/0", REQUEST)
    time.sleep(0.05)
    assert not second.done() and len(held.script.sent) == 1
    return first, second  # type: ignore[return-value]


@pytest.mark.parametrize(("usage", "fits"), [(Usage(input=100, output=50), True), (Usage(input=100, output=51), False)])
def test_a_call_waits_for_one_in_flight_while_it_may_still_fit(usage: Usage, fits: bool) -> None:
    held = Held(usage)
    desk = new_desk(held.script, caps=Caps(tokens=MOST + 150))
    with ThreadPoolExecutor(2) as threads:
        _, second = waiting(desk, threads, held)
        held.answer.set()
        if fits:
            assert second.result(DEADLINE) and len(held.script.sent) == 2
        else:
            with pytest.raises(Unanswered, match="budget of 500 tokens is used: 151 spent, the next call may") as error:
                second.result(DEADLINE)
            assert error.value.ends == "operator" and len(held.script.sent) == 1


def test_a_call_that_never_fits_does_not_wait_for_what_is_not_there() -> None:
    log = MemoryCallLog()
    for caps, reason in (
        (Caps(tokens=MOST - 1), "the budget of 349 tokens is used: 0 spent, the next call may take 350"),
        (Caps(usd=0.01), "the budget of 0.01 USD is used: 0.00 spent, the next call may cost 0.01"),
    ):
        with pytest.raises(Unanswered, match=reason) as error:
            new_desk(in_turn(), log, caps).ask("ask/1/call/0", REQUEST)
        assert error.value.ends == "operator" and log.kinds == []


def test_closing_ends_the_wait_for_room_below_a_cap() -> None:
    """Also while the call that it waits for goes on."""
    held = Held()
    desk = new_desk(held.script, caps=Caps(tokens=MOST))
    with ThreadPoolExecutor(2) as threads:
        first, second = waiting(desk, threads, held)
        desk.close()
        with pytest.raises(Unanswered) as error:
            second.result(DEADLINE)
        assert error.value.ends == "" and not first.done() and held.script.closed
        held.answer.set()
        first.result(DEADLINE)
    with pytest.raises(Unanswered):
        desk.ask("ask/3/call/0", REQUEST)
    assert len(held.script.sent) == 1


def failing(kind: str, original: Record) -> Record:
    def record(which: str, key: str, body: dict[str, object]) -> None:
        if which == kind:
            raise OSError("disk full")
        original(which, key, body)

    return record


def end_of(desk: Desk) -> list[str]:
    """What comes of another call, nothing if it hangs."""
    ended: list[str] = []

    def ask() -> None:
        try:
            ended.append(desk.ask("ask/2/call/0", REQUEST)[0].text)
        except Unanswered as error:
            ended.append(error.ends)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    return ended


@pytest.mark.parametrize("kind", ["question", "reply"])
def test_a_call_that_cannot_be_written_down_leaves_nobody_waiting(kind: str) -> None:
    log = MemoryCallLog()
    original = log.lines.record
    log.lines.record = failing(kind, original)  # type: ignore[method-assign]
    desk = new_desk(always("an answer"), log, Caps(tokens=MOST))
    with pytest.raises(OSError, match="disk full"):
        desk.ask("ask/1/call/0", REQUEST)
    log.lines.record = original  # type: ignore[method-assign]
    assert end_of(desk) == ["an answer" if kind == "question" else "operator"]


def test_a_transport_that_breaks_leaves_nobody_waiting() -> None:
    desk = new_desk(in_turn(ZeroDivisionError("a bug"), "an answer"), caps=Caps(tokens=MOST + 10))
    with pytest.raises(ZeroDivisionError):
        desk.ask("ask/1/call/0", REQUEST)
    assert end_of(desk) == ["operator"]
