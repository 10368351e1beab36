"""What the log knows of calls of models: answers by question, and money that is gone whether or not an answer came."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

from evolve.calls import Calls, CallWriter
from evolve.history import History
from evolve.log import Log
from evolve.store import Store
from tests.evolve import toy

QUESTION: dict[str, Any] = {"tokens": 100, "usd": 0.5, "request": {"model": "m"}}
ANSWER = {"tokens": 30, "usd": 0.125, "text": "yes"}


def opened(directory: Path) -> tuple[CallWriter, History, Store]:
    """A process on a run's log."""
    store, history = Store.open(directory, durable=False), toy.new_history()
    history.replay(store.events())
    return CallWriter(Log(store, history), history.calls), history, store


def test_an_open_question_counts_with_its_most_and_an_answered_one_with_its_cost(tmp_path: Path) -> None:
    calls, _, store = opened(tmp_path)
    assert calls.spent() == (0, 0) and calls.recall("a") is None
    calls.sent("a", QUESTION)
    calls.sent("b", QUESTION)
    assert calls.spent() == (200, 1.0) and calls.recall("a") is None
    calls.received("a", ANSWER)
    assert calls.spent() == (130, 0.625) and dict(calls.recall("a") or {}) == {"key": "a", **ANSWER}
    store.close()


def test_a_later_process_knows_what_an_earlier_one_asked(tmp_path: Path) -> None:
    calls, _, store = opened(tmp_path)
    calls.sent("a", QUESTION)
    calls.received("a", ANSWER)
    calls.sent("b", QUESTION)
    store.close()
    calls, _, store = opened(tmp_path)
    assert calls.spent() == (130, 0.625) and calls.recall("a") and calls.recall("b") is None
    calls.sent("b", QUESTION)
    assert calls.spent() == (230, 1.125), "asked again: it was paid for twice"
    calls.received("b", ANSWER)
    assert calls.spent() == (160, 0.75)
    store.close()
    calls, history, store = opened(tmp_path)
    assert calls.spent() == (160, 0.75) and history.calls.times == {"a": 1, "b": 2} and not history.calls.open
    store.close()


def test_a_question_may_be_asked_again_after_a_failure(tmp_path: Path) -> None:
    calls, _, store = opened(tmp_path)
    for answer in ({"tokens": 10, "usd": 0.0, "error": "overloaded"}, ANSWER):
        calls.sent("a", QUESTION)
        calls.received("a", answer)
        assert calls.unanswered("a") is None
    assert calls.spent() == (40, 0.125) and dict(calls.recall("a") or {})["text"] == "yes"
    keys = [event.key for event in store.events()]
    assert keys == ["a/question/0", "a/reply/1", "a/question/1", "a/reply/2"]
    store.close()


def test_only_a_question_that_was_interrupted_is_kept_to_be_asked_in_the_same_words(tmp_path: Path) -> None:
    calls, _, store = opened(tmp_path)
    for key in "abcd":
        calls.sent(key, QUESTION)
    calls.received("a", ANSWER)
    calls.received("b", {"tokens": 10, "usd": 0.0, "error": "too long"})
    calls.received("c", {"tokens": 10, "usd": 0.0, "error": "closed", "again": True})
    store.close()
    calls, history, store = opened(tmp_path)
    assert history.calls.requests == {"c": QUESTION["request"], "d": QUESTION["request"]}
    assert calls.unanswered("b") is None and calls.unanswered("c") == QUESTION["request"]
    store.close()


def test_threads_may_write_at_once(tmp_path: Path) -> None:
    calls, _, store = opened(tmp_path)

    def work(name: str) -> None:
        for i in range(20):
            calls.sent(f"{name}/{i}", QUESTION)
            calls.received(f"{name}/{i}", ANSWER)

    threads = [Thread(target=work, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls.spent() == (160 * 30, 160 * 0.125)
    store.close()
    assert opened_spent(tmp_path) == calls.spent()


def opened_spent(directory: Path) -> tuple[int, float]:
    store, fold = Store.read(directory), Calls()
    for event in store.events():
        (fold.on_question if event.kind == "question" else fold.on_reply)(event.body)
    store.close()
    return fold.spent()
