"""The Messages API over real HTTP against a scripted server: answers, every kind of failure, and being stopped."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from operators.llm.messages import Messages, configured, served_by
from operators.llm.wire import Block, Request, TooLong, Turn, Unanswered, Usage
from tests.llm.fake_server import Answer, Fails, FakeServer, Received, Says

KEY = "sk-ant-very-secret-0123456789"
QUESTION = Request("m-1", (Block("rules", cached=True),), (Turn("user", (Block("a"), Block("b", cached=True))),), 99)
VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Asked:
    """A transport and its server; what was said, and the waits, which take no time unless `patient`."""

    def __init__(self, answers: list[Answer] | Callable[[Received], Answer], patient: bool, options: Any) -> None:
        self.said: list[str] = []
        self.waits: list[float] = []
        self.server = FakeServer(answers)
        options = {"url": self.server.url, "timeout": 30.0, "say": self.said.append} | options
        self.messages = Messages(wait=None if patient else self.waits.append, clock=lambda: sum(self.waits), **options)

    def send(self, key: str = "q-1", request: Request = QUESTION) -> Any:
        return self.messages.send(key, request)

    def refused(self, key: str = "q-1", request: Request = QUESTION) -> Unanswered:
        with pytest.raises(Unanswered) as caught:
            self.messages.send(key, request)
        return caught.value


Ask = Callable[..., Asked]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Makes a transport to a server with these answers. Both are closed at the end."""
    with ExitStack() as open_ones:

        def make(answers: list[Answer] | Callable[[Received], Answer], patient: bool = False, **options: Any) -> Asked:
            asked = Asked(answers, patient, options)
            open_ones.enter_context(asked.server)
            open_ones.callback(asked.messages.close)
            return asked

        yield make


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_text_stop_model_and_usage(ask: Ask) -> None:
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 40,
        "cache_creation_input_tokens": 500,
        "output_tokens": 6000,
        "server_tool_use": {"web_search_requests": 2},
    }
    reply = ask([Says("Grüße, 世界", usage=usage)]).send()
    assert (reply.text, reply.stop, reply.model) == ("Grüße, 世界", "end_turn", "m-1")
    assert reply.usage == Usage(input=3, cached=40, written=500, output=6000, searches=2)


def test_the_prompt_is_sent_in_blocks_with_marks_for_the_cache(ask: Ask) -> None:
    asked = ask([Says("x")], extra={"temperature": 0.8, "stream": False})
    asked.send()
    cached = {"cache_control": {"type": "ephemeral"}}
    assert asked.server.requests[0].body == {
        "model": "m-1",
        "max_tokens": 99,
        "stream": True,
        "system": [{"type": "text", "text": "rules", **cached}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", **cached}]}
        ],
        "temperature": 0.8,
    }


def test_an_empty_system_prompt_and_empty_blocks_are_left_out(ask: Ask) -> None:
    asked = ask([Says("x")])
    asked.send(request=Request("m", (), (Turn("user", (Block("", cached=True), Block("a"))),), 9))
    body = asked.server.requests[0].body
    assert "system" not in body and "tools" not in body
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a"}]}]


@pytest.mark.parametrize("stop", ["max_tokens", "refusal", "stop_sequence", "something_new"])
def test_the_stop_reason_comes_as_it_is(ask: Ask, stop: str) -> None:
    reply = ask([Says("", stop=stop)]).send()
    assert (reply.text, reply.stop) == ("", stop)


def test_only_text_is_collected(ask: Ask) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    reply = ask([Says(blocks=(thought, {"type": "text", "text": "one "}, {"type": "text", "text": "two"}))]).send()
    assert reply.text == "one two"


def test_another_model_than_was_asked_is_named(ask: Ask) -> None:
    assert ask([Says("x", model="m-2")]).send().model == "m-2"


@pytest.mark.parametrize("usage", [None, {"output_tokens": 5}])
def test_usage_that_is_not_told_is_not_known(ask: Ask, usage: dict[str, int] | None) -> None:
    reply = ask([Says("x", usage=usage)]).send()
    assert reply.text == "x" and reply.usage is None


def test_many_threads_share_one_transport(ask: Ask) -> None:
    asked = ask(lambda received: Says(received.prompt))
    replies: dict[int, str] = {}

    def one(number: int) -> None:
        question = Request("m", (), (Turn("user", (Block(f"number {number}"),)),), 9)
        replies[number] = asked.send(f"q-{number}", question).text

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == {n: f"number {n}" for n in range(8)}


# ---- the server's own web search -------------------------------------------------------------------------------------

SEARCHING = (
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "muon"}},
    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "u"}]},
    {"type": "text", "text": "so far ", "citations": [{"type": "c", "cited_text": "t"}]},
)


def test_a_paused_turn_is_continued_with_what_was_said(ask: Ask) -> None:
    asked = ask([Says(stop="pause_turn", blocks=SEARCHING), Says("so good")], web=True)
    reply = asked.send()
    assert (reply.text, reply.stop) == ("so far so good", "end_turn")
    assert reply.usage == Usage(input=20, output=10)
    first, second = asked.server.requests
    assert first.body["tools"][0]["name"] == "web_search" and first.body["tools"][0]["max_uses"] == 3
    assert second.body["messages"] == [*first.body["messages"], {"role": "assistant", "content": list(SEARCHING)}]
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_the_usage_of_a_continued_turn_is_estimated_where_a_part_of_it_is_not_told(ask: Ask) -> None:
    asked = ask([Says(stop="pause_turn", blocks=SEARCHING, usage=None), Says("so good")], web=True)
    usage = asked.send().usage
    assert usage.input >= 10 + QUESTION.characters / 2.5 and usage.output >= 5 + len("so far ") / 2.5
    assert usage.searches == 1


def test_a_turn_is_continued_three_times_at_most(ask: Ask) -> None:
    asked = ask(lambda _: Says("x", stop="pause_turn"), web=True)
    assert (asked.messages.calls_at_most, asked.messages.searches_at_most) == (4, 12)
    reply = asked.send()
    assert (reply.text, reply.stop, len(asked.server.requests)) == ("xxxx", "pause_turn", 4)
    assert len(asked.server.requests[-1].body["messages"]) == 2, "one turn of the assistant, not three"


def test_without_searches_no_turn_is_continued_as_one_call_is_reserved(ask: Ask) -> None:
    asked = ask([Says("x", stop="pause_turn")])
    assert (asked.messages.calls_at_most, asked.messages.searches_at_most) == (1, 0)
    assert asked.send().stop == "pause_turn"


def test_the_search_tool_is_the_newest_that_the_sdk_knows() -> None:
    import anthropic.types

    from operators.llm.messages import SEARCH

    names = [n for n in dir(anthropic.types) if n.startswith("WebSearchTool20")]
    assert str(SEARCH["type"]).removeprefix("web_search_") == max(names).removeprefix("WebSearchTool")[:8]


# ---- trying again ----------------------------------------------------------------------------------------------------

PASSING = {
    "overloaded": (Fails(529, "Overloaded", "overloaded_error"), "the server failed (529)"),
    "internal": (Fails(500), "the server failed (500)"),
    "gateway": (Fails(502, body="<html>Bad Gateway</html>", content_type="text/html"), "the server failed (502)"),
    "loading": (Fails(503, body={"error": {"code": 503, "message": "Loading model"}}), "the server failed (503)"),
    "timed out": (Fails(408), "the server timed out (408)"),
    "conflict": (Fails(409), "conflict at the server (409)"),
    "rate": (Fails(429, "slow down", "rate_limit_error"), "rate limited by the server (429)"),
    "rate of long ones": (Fails(429, "rate limit for a long context window"), "rate limited by the server (429)"),
    "html": (Fails(200, body="<html>Sign in</html>", content_type="text/html"), "no stream of messages (text/html)"),
    "json": (Fails(200, body={"content": []}), "no stream of messages (application/json)"),
    "nonsense": (Fails(200, body="event: message_start\ndata: {oops\n\n"), "the answer cannot be read"),
    "wrong shape": (
        Fails(
            200, body='event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {}}\n\n'
        ),
        "the answer cannot be read",
    ),
    "cut": (Says("half an answer", cut=3), "the answer was cut off"),
    "cut at once": (Says("half an answer", cut=0), "the answer was cut off"),
    "ends early": (Says("half an answer", cut=3, cleanly=True), "the answer ended too early"),
    "no end": (Says("an answer", cut=6, cleanly=True), "the answer ended too early"),
    "error event": (Says("half", cut=3, error=("overloaded_error", "Overloaded")), "the server failed (529)"),
    "rate event": (Says("half", cut=3, error=("rate_limit_error", "slow")), "rate limited by the server (429)"),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_failure_is_tried_again_with_the_same_key(ask: Ask, name: str) -> None:
    failure, said = PASSING[name]
    asked = ask([failure, failure, Says("whole")])
    assert asked.send("q-7").text == "whole"
    assert [r.headers["idempotency-key"] for r in asked.server.requests] == ["q-7"] * 3
    assert {r.headers["x-stainless-retry-count"] for r in asked.server.requests} == {"0"}, "the SDK does not retry"
    assert len(asked.waits) == 2 and len(asked.said) == 1, "both waits are within a minute"
    assert said in asked.said[0] and ": next try in " in asked.said[0]


def test_six_attempts_with_longer_and_longer_waits(ask: Ask) -> None:
    asked = ask(lambda _: Fails(529, "Overloaded, sorry", "overloaded_error"))
    refused = asked.refused()
    assert len(asked.server.requests) == 6 and refused.ends == "" and not isinstance(refused, TooLong)
    assert "529" in str(refused) and "Overloaded, sorry" in str(refused)
    assert all(0.75 * wide <= wait <= wide for wait, wide in zip(asked.waits, (1, 2, 4, 8, 16), strict=True))


RETRY_AFTER = {
    "seconds": ({"retry-after": "12"}, 12.0, 13.2),
    "a fraction": ({"retry-after": "0.5"}, 0.5, 0.55),
    "milliseconds": ({"retry-after": "99", "retry-after-ms": "2500"}, 2.5, 2.75),
    "a date": ({"retry-after": "DATE"}, 20.0, 33.0),
    "an hour": ({"retry-after": "3600"}, 600.0, 600.0),
    "nothing": ({"retry-after": "0"}, 0.75, 1.0),
    "nonsense": ({"retry-after": "soon"}, 0.75, 1.0),
    "no number": ({"retry-after": "nan"}, 0.75, 1.0),
}


@pytest.mark.parametrize("name", RETRY_AFTER)
def test_the_server_says_how_long_to_wait(ask: Ask, name: str) -> None:
    headers, low, high = RETRY_AFTER[name]
    headers = {n: v.replace("DATE", formatdate(time.time() + 30, usegmt=True)) for n, v in headers.items()}
    asked = ask([Fails(429, headers=headers), Says("x")])
    asked.send()
    assert len(asked.waits) == 1 and low <= asked.waits[0] <= high, asked.waits


def test_whoever_waits_is_told_for_what_and_how_long(ask: Ask) -> None:
    asked = ask([Fails(429, "your tokens", headers={"retry-after-ms": "600000"}), Says("x")])
    asked.send()
    assert asked.said == ["rate limited by the server (429): next try in 600 s"]


def test_the_server_may_say_that_trying_again_is_of_no_use(ask: Ask) -> None:
    asked = ask([Fails(429, "not today", headers={"x-should-retry": "false"})])
    assert "not today" in str(asked.refused()) and asked.waits == []


def test_a_server_that_was_never_there_ends_the_run(ask: Ask) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        asked = ask([], url=url)
        refused = asked.refused()
    assert refused.ends == "run" and f"{url} cannot be reached: see that it runs" in str(refused)
    assert "refused" in str(refused) and refused.usage is None and len(asked.waits) == 5


def test_a_server_that_is_there_but_has_not_answered_yet_is_asked_six_times(ask: Ask) -> None:
    asked = ask(lambda _: Says("x", cut=0))
    assert asked.refused().ends == "" and len(asked.server.requests) == 6


OUTAGES = {"529": Fails(529), "500": Fails(500), "429": Fails(429), "408": Fails(408), "dropped": Says("x", silent=0)}


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_of_a_server_that_has_answered_is_waited_out(ask: Ask, name: str) -> None:
    asked = ask([Says("x"), *[OUTAGES[name]] * 9, Says("back")], timeout=0.1 if name == "dropped" else 30.0)
    asked.send("q-1")
    assert asked.send("q-2").text == "back" and len(asked.waits) == 9
    assert max(asked.waits) <= 60.0


def test_an_outage_is_waited_out_for_half_an_hour(ask: Ask) -> None:
    asked = ask(lambda received: Says("x") if received.headers["idempotency-key"] == "first" else Fails(529))
    asked.send("first")
    refused = asked.refused()
    assert refused.ends == "" and refused.usage is None and 1800 <= sum(asked.waits) <= 1860
    assert 10 <= len(asked.said) <= 31, "a line a minute at most"


def test_a_server_that_went_away_is_waited_for(ask: Ask) -> None:
    with FakeServer([Says("x")]) as server:
        asked = ask([], url=server.url)
        asked.send()
    refused = asked.refused()
    assert refused.ends == "" and "no connection" in str(refused) and sum(asked.waits) >= 1800


def test_of_many_who_wait_one_says_so(ask: Ask) -> None:
    together = threading.Barrier(8)
    seen: set[str] = set()

    def answer(received: Received) -> Answer:
        key = received.headers["idempotency-key"]
        if key in seen:
            return Says("x")
        seen.add(key)
        together.wait(20)
        return Fails(529)

    asked = ask(answer)
    threads = [threading.Thread(target=asked.send, args=(f"q-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked.waits) == 8 and len(asked.said) == 1


def test_an_answer_that_is_cut_again_and_again_is_not_tried_for_long(ask: Ask) -> None:
    asked = ask(lambda received: Says("x", cut=3) if received.headers["idempotency-key"] == "q-2" else Says("x"))
    asked.send("q-1")
    asked.refused("q-2")
    assert len(asked.server.requests) == 7


# ---- what was consumed -----------------------------------------------------------------------------------------------

TOLD = {"input_tokens": 1000, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 400}
READ = Usage(input=1000, cached=20, written=3)
LONG_ANSWER = "y" * 500


def test_what_cut_attempts_consumed_is_part_of_the_usage(ask: Ask) -> None:
    """The prompt that was read, and what was written of the answer: half of it came, two and a half letters a token."""
    asked = ask([Fails(529), Says(LONG_ANSWER, usage=TOLD, cut=3), Fails(429), Says("whole", usage=TOLD)])
    assert asked.send().usage == READ + Usage(output=100) + READ + Usage(output=400)


def test_what_cut_attempts_consumed_is_estimated_where_it_was_not_told(ask: Ask) -> None:
    question = Request("m", (Block("s" * 250),), (Turn("user", (Block("t" * 750),)),), 999)
    asked = ask([Says(LONG_ANSWER, usage=None, cut=3), Says("whole", usage=TOLD)])
    assert asked.send(request=question).usage == Usage(input=400, output=100) + READ + Usage(output=400)


NOT_READ = [Fails(529), Fails(500), Fails(429), Fails(408), Fails(409)]
NOTHING = {
    "never answered": NOT_READ + [Fails(529)],
    "refused": [Fails(400)],
    "wrong key": [Fails(401)],
    "no model": [Fails(404)],
    "too long": [Fails(413)],
    "no credit": [Fails(402)],
    "overloaded before the answer": [*NOT_READ, Says("x", cut=0, error=("overloaded_error", "x"))],
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_failure_before_an_answer_began_consumed_nothing(ask: Ask, name: str) -> None:
    assert ask(NOTHING[name]).refused().usage is None


CONSUMED: dict[str, tuple[list[Answer], Usage]] = {
    "cut six times": ([Says(LONG_ANSWER, usage=TOLD, cut=3)] * 6, Usage(6000, 120, 18, 600)),
    "cut, then refused": ([Says(LONG_ANSWER, usage=TOLD, cut=4), Fails(400)], READ + Usage(output=200)),
    "window": ([Says("x", usage=TOLD, stop="model_context_window_exceeded")], READ + Usage(output=400)),
    "paused, then refused": ([Says("x", usage=TOLD, stop="pause_turn"), Fails(401)], READ + Usage(output=400)),
    "error in the answer": (
        [Says("x", usage=TOLD, cut=1, error=("invalid_request_error", "x"))],
        READ + Usage(output=1),
    ),
    "searched, then cut": (
        [Says(blocks=SEARCHING[:1], usage=TOLD, cut=3), Fails(400)],
        READ + Usage(output=2, searches=1),
    ),
}


@pytest.mark.parametrize("name", CONSUMED)
def test_a_failure_says_what_was_consumed_before_it(ask: Ask, name: str) -> None:
    answers, usage = CONSUMED[name]
    assert ask(answers, web=True).refused().usage == usage


def test_a_server_that_is_silent_may_have_read_the_prompt(ask: Ask) -> None:
    asked = ask([Says("x", silent=0), Fails(400)], timeout=0.2)
    assert asked.refused().usage == Usage(input=-(-QUESTION.characters * 2 // 5))


@pytest.mark.parametrize("silent", [0, 3])
def test_a_silent_server_is_given_up_and_asked_again(ask: Ask, silent: int) -> None:
    asked = ask([Says("half", silent=silent), Says("whole")], timeout=0.3)
    assert asked.send().text == "whole"
    assert asked.said == ["the server did not answer in time: next try in 1 s"]


def test_a_slow_answer_is_an_answer(ask: Ask) -> None:
    assert ask([Says("late", delay=0.1)]).send().text == "late"


# ---- what ends a prompt, an operator, a run --------------------------------------------------------------------------

LLAMA = {
    "code": 400,
    "message": "request (3031 tokens) exceeds the available context size (1024 tokens), try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 3031,
    "n_ctx": 1024,
}
LONG = {
    "anthropic": Fails(400, "prompt is too long: 203284 tokens > 200000 maximum", "invalid_request_error"),
    "anthropic with answer": Fails(
        400, "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000", "invalid_request_error"
    ),
    "bytes": Fails(413, "Request exceeds the maximum size", "request_too_large"),
    "proxy": Fails(413, body="<html>Request Entity Too Large</html>", content_type="text/html"),
    "llama.cpp": Fails(400, body={"error": LLAMA}),
    "vllm": Fails(400, "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens."),
    "lm studio": Fails(400, body={"error": "the model is loaded with context length of only 32768 tokens"}),
    "in the stream": Says("x", cut=1, error=("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")),
    "while answering": Says("a beginning", stop="model_context_window_exceeded"),
}


@pytest.mark.parametrize("name", LONG)
def test_what_does_not_fit_is_too_long(ask: Ask, name: str) -> None:
    asked = ask([LONG[name]])
    refused = asked.refused()
    assert isinstance(refused, TooLong) and refused.ends == "" and len(asked.server.requests) == 1


def spent(code: str, status: int) -> Fails:
    error = {"type": "rate_limit_error", "message": "limit", "details": {"error_code": code}}
    return Fails(status, body={"type": "error", "error": error})


CREDIT = {
    "payment required": Fails(402, "pay", "billing_error"),
    "balance": Fails(400, "Your credit balance is too low to access the Anthropic API.", "invalid_request_error"),
    "own limit": Fails(400, "You have reached your specified API usage limits.", "invalid_request_error"),
    "tier": spent("enforced_spend_limit_reached", 429),
    "contract": spent("contract_spend_limit_reached", 429),
    "profile": spent("user_profile_not_billable", 403),
}


@pytest.mark.parametrize("name", CREDIT)
def test_without_credit_the_run_ends(ask: Ask, name: str) -> None:
    asked = ask([CREDIT[name]])
    refused = asked.refused()
    assert refused.ends == "run" and str(refused).startswith("no credit") and len(asked.server.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_wrong_key_ends_the_run_and_is_not_shown(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str, status: int
) -> None:
    monkeypatch.setenv(variable, f"{KEY}\n")
    with FakeServer([Fails(status, f"invalid key {KEY}", "authentication_error")]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        asked = ask([], url=None)
        refused = asked.refused()
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert refused.ends == "run" and variable in str(refused) and str(status) in str(refused)
    assert KEY not in str(refused) and "invalid key [key]" in str(refused)


def test_a_key_is_hidden_before_a_text_is_cut(ask: Ask) -> None:
    asked = ask([Fails(400, "x" * before + KEY, "invalid_request_error") for before in range(270, 300)], key=KEY)
    for _ in range(30):
        assert KEY[:4] not in str(asked.refused())
    assert len(asked.server.requests) == 30


def test_a_key_is_hidden_from_who_is_told(ask: Ask) -> None:
    asked = ask(lambda _: Fails(200, body=f"event: message_start\ndata: {KEY}\n\n", content_type=KEY), key=KEY)
    refused = asked.refused()
    assert not any(KEY in text for text in [*asked.said, str(refused)])


def test_a_server_that_wants_a_key_and_got_none(ask: Ask) -> None:
    refused = ask([Fails(401, "Invalid API Key at localhost", "authentication_error")]).refused()
    assert refused.ends == "run" and "without a key" in str(refused) and "localhost" in str(refused)


def test_an_unknown_model_ends_the_operator(ask: Ask) -> None:
    refused = ask([Fails(404, "model: m-1", "not_found_error")]).refused()
    assert refused.ends == "operator" and "m-1" in str(refused)


@pytest.mark.parametrize("status", [400, 422])
def test_another_refusal_is_told_shortly(ask: Ask, status: int) -> None:
    asked = ask([Fails(status, "max_tokens: 300000 > 64000\n" + "y" * 1000, "invalid_request_error")])
    refused = asked.refused()
    assert refused.ends == "" and not isinstance(refused, TooLong) and asked.waits == []
    assert str(refused).startswith(f"refused by the server ({status}): max_tokens: 300000 > 64000 yyy")
    assert len(str(refused)) < 340 and "\n" not in str(refused)


# ---- keys and addresses ----------------------------------------------------------------------------------------------


def test_a_given_server_does_not_learn_the_keys_of_the_environment(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"x-api-key: {KEY}\nauthorization: Bearer {KEY}\nX-Team: {KEY}")
    asked = ask([Says("x")])
    asked.send()
    headers = asked.server.requests[0].headers
    assert headers["authorization"] == "Bearer local"
    assert not any(KEY in value for value in headers.values()) and "x-team" not in headers


def test_a_given_server_learns_a_given_key(ask: Ask) -> None:
    asked = ask([Says("x")], key=KEY)
    asked.send()
    assert asked.server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("end", ["/", "/v1", "/v1/"])
def test_the_address_may_end_as_other_programs_want_it(ask: Ask, end: str) -> None:
    with FakeServer([Says("x")]) as server:
        asked = ask([], url=server.url + end)
        assert asked.send().text == "x"


def test_without_a_key_nothing_is_asked(ask: Ask) -> None:
    refused = ask([], url=None).refused()
    assert refused.ends == "run" and "ANTHROPIC_API_KEY" in str(refused) and "ANTHROPIC_AUTH_TOKEN" in str(refused)


def test_configured_says_what_is_missing() -> None:
    assert "ANTHROPIC_API_KEY" in (configured(None, {}) or "")
    assert "ANTHROPIC_API_KEY" in (configured(None, {"ANTHROPIC_API_KEY": " "}) or "")
    assert "http://" in (configured("localhost:8080", {}) or "")
    assert "ANTHROPIC_API_KEY" in (configured(None, {"ANTHROPIC_API_KEY": "“smart”"}) or "")
    assert "smart" not in (configured(None, {"ANTHROPIC_API_KEY": "“smart”"}) or "")
    assert configured(None, {"ANTHROPIC_AUTH_TOKEN": KEY}) is None
    assert configured(None, {}, KEY) is None
    assert configured("http://127.0.0.1:8080", {}) is None


@pytest.mark.parametrize("who", ["user:pass-word@", "user@", ":pass-word@", "@"])
def test_a_password_in_an_address_is_refused_and_not_shown(who: str) -> None:
    reason = configured(f"https://{who}host:8080/v1", {}) or ""
    assert "EVOLVE_LLM_KEY" in reason and "pass-word" not in reason


def test_where_questions_go() -> None:
    elsewhere = {"ANTHROPIC_BASE_URL": "https://user:pass-word@gateway.example:8443/claude"}
    assert served_by(None, {}) == served_by(None, {"ANTHROPIC_BASE_URL": " "}) == "the Anthropic API"
    assert served_by(None, elsewhere) == "https://gateway.example:8443/claude"
    assert served_by("http://127.0.0.1:8080", elsewhere) == "http://127.0.0.1:8080"


def test_configured_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for name in [n for n in sys.modules if n.partition(".")[0] == "anthropic"]:
        monkeypatch.delitem(sys.modules, name)
    assert "pip install anthropic" in (configured("http://127.0.0.1:8080", {}) or "")


def test_the_sdk_is_not_imported_before_something_is_asked() -> None:
    code = (
        "import sys; from operators.llm.messages import Messages, configured\n"
        "configured('http://x', {}); Messages('http://x').close(); assert 'anthropic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], env={**os.environ})


def test_an_old_model_is_answered_and_its_end_said_once(ask: Ask) -> None:
    from anthropic.resources.messages.messages import DEPRECATED_MODELS

    old = next(iter(DEPRECATED_MODELS))
    asked = ask(lambda _: Says("x"))
    for key in ("q-1", "q-2"):
        assert asked.send(key, Request(old, (), QUESTION.turns, 9)).text == "x"
    assert len(asked.said) == 1 and old in asked.said[0] and "deprecated" in asked.said[0]


# ---- probe and close -------------------------------------------------------------------------------------------------


def test_a_probe_is_one_tiny_call(ask: Ask) -> None:
    asked = ask([Says("ready", model="m-2"), Says("ready"), Fails(529)])
    assert asked.messages.probe("m-1").model == "m-2"
    asked.messages.probe("m-1")
    with pytest.raises(Unanswered, match="529"):
        asked.messages.probe("m-1")
    assert len(asked.server.requests) == 3 and asked.waits == []
    assert len({r.headers["idempotency-key"] for r in asked.server.requests}) == 3, "each is a new question"
    assert asked.server.requests[0].body["max_tokens"] <= 16


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def closed_while(asked: Asked, busy: Callable[[], bool]) -> tuple[Unanswered, float]:
    """What a call raises if the transport is closed once `busy`, and how long that takes."""
    raised: list[Unanswered] = []
    thread = threading.Thread(target=lambda: raised.append(asked.refused()))
    thread.start()
    until(busy)
    began = time.monotonic()
    asked.messages.close()
    thread.join(20)
    return raised[0], time.monotonic() - began


@pytest.mark.parametrize("silent", [0, 3])
def test_close_ends_a_call_in_the_middle(ask: Ask, silent: int) -> None:
    asked = ask([Says("half an answer", silent=silent)], timeout=60.0)
    raised, seconds = closed_while(asked, lambda: bool(asked.server.requests))
    assert "closed" in str(raised) and raised.ends == "" and seconds < 2
    assert raised.usage is not None and raised.usage.input > 0, "it was under way"


def test_close_ends_a_wait(ask: Ask) -> None:
    asked = ask([Fails(429, headers={"retry-after": "500"})], patient=True)
    raised, seconds = closed_while(asked, lambda: bool(asked.said))
    assert "closed" in str(raised) and seconds < 2 and len(asked.server.requests) == 1
    assert raised.usage is None


def test_after_close_nothing_is_asked(ask: Ask) -> None:
    asked = ask([Says("x"), Says("x")])
    asked.send()
    asked.messages.close()
    asked.messages.close()
    assert "closed" in str(asked.refused()) and len(asked.server.requests) == 1


def test_close_leaves_no_connection(ask: Ask) -> None:
    asked = ask([Fails(400)])
    asked.refused()
    until(lambda: asked.server.connections == 1)
    asked.messages.close()
    until(lambda: asked.server.connections == 0)


def test_a_call_that_is_left_behind_leaves_no_connection_when_it_ends(ask: Ask) -> None:
    together = threading.Barrier(2)

    def answer(received: Received) -> Answer:
        if received.headers["idempotency-key"] == "last":
            return Says("half", silent=3)
        together.wait(20)  # so that there are two connections
        return Fails(400)

    asked = ask(answer, timeout=1.0)
    threads = [threading.Thread(target=asked.refused) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked.server.connections == 2
    last = threading.Thread(target=lambda: asked.refused("last"))
    last.start()
    until(lambda: len(asked.server.requests) == 3)
    asked.messages.close()
    last.join()
    until(lambda: asked.server.connections == 1)


def test_nothing_that_is_logged_holds_the_key(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ask([Fails(529), Says("x")], key=KEY).send()
    assert caplog.records and KEY not in caplog.text
