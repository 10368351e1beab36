"""A language model on this machine, for runs without a key: llama.cpp's server, which speaks the Messages API.

    python -m benchmarks.local_server MODEL.gguf --port 8080 [--threads 2 --context 16384 --slots 1]

Runs until Ctrl-C. Needs `pip install xllamacpp` and a model as a GGUF file.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any


class ServerError(Exception):
    """The server cannot be started, and why in one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="a GGUF file")
    parser.add_argument("--port", type=int, default=8080, help="0: any free one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=16_384, help="tokens of prompt and answer, in each slot")
    parser.add_argument("--slots", type=int, default=1, help="requests answered at the same time")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with the process that holds the pipe")
    options = parser.parse_args()
    try:
        server = start(options.model, options.port, options.threads, options.context, options.slots)
        print(f"{options.model.name} answers; run with it, in another terminal:", flush=True)
        print(f"python -m evolve --llm-url {server.listening_address} --model local", flush=True)
        if options.until_stdin_ends:
            sys.stdin.buffer.read()
            return 0
        while True:
            time.sleep(3600)
    except ServerError as error:
        print(f"local_server: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def start(model: Path, port: int, threads: int, context: int, slots: int) -> Any:
    """A server on the loopback interface that has loaded its model; it lives as long as the object and this process.

    Its `listening_address` is its URL. Raises ServerError where xllamacpp is missing, the file is no model, or the
    port is taken.
    """
    try:
        import xllamacpp
    except ImportError:
        raise ServerError("xllamacpp is not installed: pip install xllamacpp") from None
    if not is_gguf(model):
        raise ServerError(f"{model} is not a GGUF file")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.model_alias = {"local"}
    settings.port = port
    settings.n_ctx, settings.n_parallel = context * slots, slots
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.n_threads_http = slots + 1  # one to refuse a request while the others wait for their answers
    settings.use_jinja, settings.ui, settings.cache_ram_mib = True, False, 0
    settings.verbosity = 1  # errors
    try:
        return xllamacpp.Server(settings)
    except RuntimeError as error:
        raise ServerError(f"llama.cpp does not start with {model} on port {port}: {error}") from None


def is_gguf(model: Path) -> bool:
    """Whether a file begins as a GGUF file does."""
    try:
        with model.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
