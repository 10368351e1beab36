"""What language models answered in another run, for a run without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evolve.config import ConfigError
from evolve.store import Store


def replies(directory: Path) -> list[dict[str, Any]]:
    """Questions with their replies, in the order of the replies: `key`, `way`, `digest` and what was answered.

    Raises `StoreError` if there is no such run, `ConfigError` if no model answered in it.
    """
    store = Store.read(directory)
    questions: dict[str, dict[str, Any]] = {}
    found = []
    try:
        for event in store.events():
            if event.kind == "question":
                questions[event.body["key"]] = event.body
            elif event.kind == "reply":
                found.append(questions.get(event.body["key"], {}) | event.body)
    finally:
        store.close()
    if not found:
        raise ConfigError(f"no language model answered in the run of {directory}: there is nothing to replay")
    return found
