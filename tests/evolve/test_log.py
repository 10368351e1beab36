"""The log under threads: whoever writes while it is closed is refused, and the process lives on."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

from evolve.history import History
from evolve.log import Log
from evolve.search import ParetoSearch
from evolve.store import Store, StoreError


def test_threads_that_write_while_the_log_is_closed_are_refused(tmp_path: Path) -> None:
    for n in range(10):
        log = Log(Store.open(tmp_path / str(n), durable=False), History(ParetoSearch([], 2, {}, 0)))
        log.record("session", "session/1", {"slots": 1})
        written, refused = Event(), []

        def write(name: int, log: Log = log, written: Event = written, refused: list[int] = refused) -> None:
            try:
                for i in range(100_000):
                    log.record("stop", f"{name}/{i}", {"reason": "", "waited": 1.0})
                    written.set()
            except StoreError:
                refused.append(name)

        threads = [Thread(target=write, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
        assert written.wait(10)
        log.close()
        for thread in threads:
            thread.join(10)
        assert sorted(refused) == [0, 1, 2]
        store = Store.read(tmp_path / str(n))
        assert sum(1 for _ in store.events()) == log.history.waited + 1, "applied without being written, or vice versa"
        store.close()
