"""The only way in which anything of a run changes: write it, then apply it."""

from __future__ import annotations

from threading import Lock
from typing import Any

from evolve.history import History
from evolve.store import Store


class Log:
    """A store and the history that it is applied to. Threads may record at once, one after the other."""

    def __init__(self, store: Store, history: History) -> None:
        self.store = store
        self.history = history
        self._one_at_a_time = Lock()

    def record(self, kind: str, key: str, body: dict[str, Any]) -> None:
        """Raises `StoreError` when it could not be written; then nothing changed."""
        with self._one_at_a_time:
            self.history.apply(self.store.append(kind, key, body))

    def close(self) -> None:
        """Close the store, when nobody is writing; whoever comes later is refused. SQLite would not survive both."""
        with self._one_at_a_time:
            self.store.close()
