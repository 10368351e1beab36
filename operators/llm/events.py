"""The stream of events of the Messages API, read as plain JSON: the message, and what it has consumed so far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from operators.llm.wire import Usage, tokens_in

NONSENSE = (ValueError, LookupError, TypeError, AttributeError)  # what reading raises if events are not as they should


@dataclass(frozen=True)
class Message:
    """An answer, whole: content blocks as they came, the stop reason, and what is said of model and usage."""

    blocks: tuple[dict[str, Any], ...]
    stop: str
    model: str
    usage: Usage | None


class Reading:
    """One answer as it comes. `prompt` is an estimate of the tokens that were sent. Another thread may ask `spent`."""

    def __init__(self, prompt: int) -> None:
        self.began = False
        self._prompt = prompt
        self._blocks: dict[int, dict[str, Any]] = {}
        self._model, self._stop = "", ""
        self._said: dict[str, Any] = {}
        self._answered, self._found, self._searches = 0, 0, 0  # characters, characters, searches begun

    def message(self, events: Iterable[Any]) -> Message | None:
        """What the events spell out; None if they end before it does. Raises what NONSENSE lists."""
        for event in events:
            match event:
                case {"type": "message_start", "message": message}:
                    self.began = True
                    self._model = str(message.get("model") or "")
                    self._learn(message.get("usage"))
                case {"type": "content_block_start", "index": index, "content_block": block}:
                    self._blocks[index] = dict(block)
                    self._found += len(str(block.get("content", "")))
                    self._searches += block.get("type") == "server_tool_use"
                case {"type": "content_block_delta", "index": index, "delta": delta}:
                    self._answered += _extend(self._blocks[index], delta)
                case {"type": "message_delta", "delta": delta}:
                    self._stop = str(delta.get("stop_reason") or self._stop)
                    self._learn(event.get("usage"))
                case {"type": "message_stop"}:
                    content = tuple(_finished(self._blocks[index], self._stop) for index in sorted(self._blocks))
                    return Message(content, self._stop, self._model, _usage(self._said))
        return None

    def spent(self) -> Usage:
        """What was consumed so far: as the server says, estimated upwards where it does not, or not yet."""
        said = _usage(self._said)
        if said is not None and self._stop:
            return said
        known = _usage({"output_tokens": 0, **self._said}) or Usage(input=self._prompt)
        return replace(
            known,
            input=known.input + tokens_in(self._found),
            output=max(known.output, tokens_in(self._answered)),
            searches=max(known.searches, self._searches),
        )

    def _learn(self, usage: Mapping[str, Any] | None) -> None:
        self._said.update((name, n) for name, n in (usage or {}).items() if n is not None)


def _extend(block: dict[str, Any], delta: Mapping[str, Any]) -> int:
    """Adds a piece to its block; the number of characters that the model wrote."""
    match delta:
        case {"type": "text_delta" | "thinking_delta" | "input_json_delta" as kind, **piece}:
            name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}[kind]
            text = str(piece[name])
            block[name] = block.get(name, "") + text
            return len(text)
        case {"type": "signature_delta", "signature": signature}:
            block["signature"] = signature
        case {"type": "citations_delta", "citation": citation}:
            block["citations"] = [*(block.get("citations") or ()), citation]
    return 0


def _finished(block: dict[str, Any], stop: str) -> dict[str, Any]:
    """The block as it is sent back. The input of a tool is JSON in pieces, whole unless the answer was cut short."""
    text = block.pop("partial_json", "")
    return {**block, "input": json.loads(text)} if text and stop == "pause_turn" else block


def _usage(said: Mapping[str, Any]) -> Usage | None:
    """None if a server does not say both what it read and what it wrote."""
    if said.get("input_tokens") is None or said.get("output_tokens") is None:
        return None
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    searches = (said.get("server_tool_use") or {}).get("web_search_requests")
    return Usage(*(int(n or 0) for n in [*map(said.get, names), searches]))
