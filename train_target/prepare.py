"""What a training script may import: data, tokenizer, budget, progress and evaluation. Never evolved.

This is a thin client of the judge (judge.py), a process that owns the texts, the seed, the clock and the arithmetic
of the score. By hand, importing this module starts a judge for the calling process; in a box the judge is there
already. Validation text never comes here: `evaluate_bpb` receives inputs and gives logits back.

Run as a script, it prepares the data: `python train_target/prepare.py`. By hand the environment variables
EVOLVE_BUDGET (seconds), EVOLVE_SCALE (cpu, gpu), EVOLVE_DATA (a folder of text), EVOLVE_SEED and EVOLVE_CACHE are read.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import mmap
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

import seeding

Batch = tuple[torch.Tensor, torch.Tensor, int]
FOLDER = Path(__file__).resolve().parent


class BudgetUsed(StopIteration):
    """The training stream has ended. A `for` loop over the loader ends by itself; a bare `next` has to catch this."""


class _Judge:
    """The box's end of the wire: a request is a JSON line, so is the answer, perhaps followed by raw bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pending = b""
        self.fds: list[int] = []
        self.progress = 0.0

    def ask(self, **request: object) -> tuple[dict[str, object], bytearray]:
        """The answer to a request. Raises ValueError with the judge's words where it refuses."""
        try:
            self._sock.sendall(json.dumps(request).encode() + b"\n")
            while b"\n" not in self._pending:
                chunk, fds, _, _ = socket.recv_fds(self._sock, 65536, 4)
                if not chunk:
                    raise ConnectionError
                self.fds += fds
                self._pending += chunk
        except ConnectionError:
            raise ConnectionError("the judge has gone away; its last words are on standard error") from None
        line, _, self._pending = self._pending.partition(b"\n")
        answer = json.loads(line)
        raw = self._raw(answer.pop("bytes", 0))
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer, raw

    def _raw(self, size: int) -> bytearray:
        raw = bytearray(size)
        here = min(size, len(self._pending))
        raw[:here], self._pending = self._pending[:here], self._pending[here:]
        view = memoryview(raw)
        while here < size:
            got = self._sock.recv_into(view[here:])
            if not got:
                raise ConnectionError("the judge has gone away in the middle of a message")
            here += got
        return raw


def _start_judge() -> socket.socket:
    """Start a judge of our own, which will charge this process."""
    ours, theirs = socket.socketpair()
    names = ("scale", "budget", "data", "seed", "cache")
    given = [f"--{name}={value}" for name in names if (value := os.environ.get(f"EVOLVE_{name.upper()}"))]
    command = [sys.executable, str(FOLDER / "judge.py"), "--attach", str(theirs.fileno()), "--pid", str(os.getpid())]
    subprocess.Popen(command + given, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    theirs.close()
    return ours


def _connect() -> _Judge:
    number = os.environ.pop("EVOLVE_BOX_FD", None)
    return _Judge(socket.socket(fileno=int(number)) if number else _start_judge())


def progress() -> float:
    """Share of the training budget used when the last batch was handed out, on the judge's clock: 0 to 1."""
    return _judge.progress


class Tokenizer:
    """Text to tokens and back. At the CPU scale a token is a byte, at the GPU scale merged bytes."""

    def __init__(self, tokens: list[bytes], pattern: str) -> None:
        self._tokens = tokens
        self._numbers = {token: number for number, token in enumerate(tokens)}
        self._pattern = re.compile(pattern)

    @classmethod
    def from_directory(cls) -> Tokenizer:
        """The judge's tokenizer."""
        answer, raw = _judge.ask(op="tokenizer")
        return cls([bytes.fromhex(token) for token in json.loads(raw)], str(answer["pattern"]))

    def get_vocab_size(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        return [number for piece in self._pattern.findall(text) for number in self._merge(piece.encode())]

    def decode(self, tokens: list[int]) -> str:
        return b"".join(self._tokens[token] for token in tokens).decode(errors="replace")

    def _merge(self, piece: bytes) -> list[int]:
        """Merge the pair of neighbours that was merged first in training, until none is in the vocabulary."""
        parts = [bytes([byte]) for byte in piece]
        while len(parts) > 1:
            ranks = [self._numbers.get(a + b, len(self._tokens)) for a, b in itertools.pairwise(parts)]
            first = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[first] == len(self._tokens):
                break
            parts[first : first + 2] = [parts[first] + parts[first + 1]]
        return [self._numbers[part] for part in parts]


class _Loader:
    """Batches from the judge. Its end is `BudgetUsed`, a StopIteration."""

    def __init__(self, rows: int, length: int, split: str) -> None:
        self._request = {"op": "batch", "rows": rows, "length": length, "split": split}

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        answer, raw = _judge.ask(**self._request)
        _judge.progress = answer["progress"]
        if answer.get("end"):
            raise BudgetUsed("the budget is used: loop with `for x, y, epoch in loader`, or catch StopIteration")
        tokens = torch.frombuffer(raw, dtype=TOKEN_DTYPE).view(self._request["rows"], -1).to(DEVICE, torch.long)
        return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), answer["epoch"]


def make_dataloader(tokenizer: Tokenizer, B: int, T: int, split: str) -> Iterator[Batch]:
    """Batches `(x, y, epoch)` of int64 tokens (B, T) on DEVICE; `y` is `x` one token later.

    `split` is "train": the clock starts with the first batch, and the iterator ends when the budget is used; or
    "warmup": a few batches of random tokens, free, before that. Raises ValueError for any other split, and for T
    above MAX_SEQ_LEN.
    """
    if split not in ("train", "warmup"):
        raise ValueError(
            f'no split {split!r} here: "train" and "warmup" are; evaluate_bpb scores on validation text, '
            "which stays with the judge"
        )
    if not 1 <= T <= MAX_SEQ_LEN:
        raise ValueError(f"T is {T}, but must be from 1 to MAX_SEQ_LEN, {MAX_SEQ_LEN}")
    if B < 1:
        raise ValueError(f"B is {B}, but must be at least 1")
    return _Loader(B, T, split)


@torch.no_grad()
def evaluate_bpb(model: torch.nn.Module, tokenizer: Tokenizer, batch_size: int) -> float:
    """Bits per byte of `model` on validation text. Stops the clock; may be called once.

    `model(x)` must map int64 tokens (R, MAX_SEQ_LEN) to floating-point logits (R, MAX_SEQ_LEN, vocabulary); R is the
    same in all calls: `batch_size`, or EVAL_ROWS if that is less, or less still where few rows are scored. On the CPU
    one part of the calls happens in a fork of this process. Raises ValueError when the model does not, and where the
    judge refuses.
    """
    parameters = sum(p.numel() for p in model.parameters())
    answer, raw = _judge.ask(op="evaluate", batch_size=batch_size, parameters=parameters)
    shape = tuple(answer["shape"])
    with mmap.mmap(_judge.fds.pop(), 4 * math.prod(shape)) as memory:
        buffer = torch.frombuffer(memory, dtype=torch.float32).view(shape)
        training, modes = model.training, [(module, module.training) for module in model.modules()]
        model.eval()
        with _pinned(buffer):
            if DEVICE == "cpu":
                _answer_in_a_fork(model, raw, buffer)
            else:
                _answer(model, raw, buffer)
            answer, raw = _judge.ask(op="pass")
            answer = _answer(model, raw, buffer)
        model.train(training)
        for module, mode in modes:
            module.training = mode
        del buffer
    return answer["val_bpb"]


@contextlib.contextmanager
def _pinned(buffer: torch.Tensor) -> Iterator[None]:
    """Let the device write into a buffer of the host's by itself, where there is a device and its driver can."""
    pinned = DEVICE == "cuda" and not int(
        torch.cuda.cudart().cudaHostRegister(buffer.data_ptr(), 4 * buffer.numel(), 0)
    )
    try:
        yield
    finally:
        if pinned:
            torch.cuda.cudart().cudaHostUnregister(buffer.data_ptr())


def _answer(model: torch.nn.Module, raw: bytearray, buffer: torch.Tensor) -> dict[str, object]:
    """Answer requests for logits, the first of which is `raw`, until a pass ends; returns what the judge says then."""
    answer: dict[str, object] = {}
    while raw:
        x = torch.frombuffer(raw, dtype=TOKEN_DTYPE).view(buffer.shape[:2]).to(DEVICE, torch.long)
        buffer.copy_(_checked(model(x), tuple(buffer.shape)))
        answer, raw = _judge.ask(op="logits")
    return answer


def _answer_in_a_fork(model: torch.nn.Module, raw: bytearray, buffer: torch.Tensor) -> None:
    """Answer a pass in a child of this process, with which all that it learns from the pass ends.

    What goes wrong in the child goes wrong again in this process: the judge then repeats the request.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.set_num_threads(1)  # threads of a pool are not there after a fork
            _answer(model, raw, buffer)
            code = 0
        finally:
            os._exit(code)
    with contextlib.suppress(ChildProcessError):  # the script lets nobody wait for its children
        os.waitpid(child, 0)


def _checked(logits: object, shape: tuple[int, ...]) -> torch.Tensor:
    if not isinstance(logits, torch.Tensor):
        raise ValueError(f"model(x) must return logits, a tensor of shape {shape}; it returned {type(logits).__name__}")
    if tuple(logits.shape) != shape or not logits.is_floating_point():
        raise ValueError(
            f"model(x) must return floating-point logits of shape {shape}, not {logits.dtype} of shape "
            f"{tuple(logits.shape)}"
        )
    return logits


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, str(FOLDER / "judge.py"), "--prepare", *sys.argv[1:]]))

_judge = _connect()
_hello, _ = _judge.ask(op="hello")
TIME_BUDGET: float = _hello["budget"]
MAX_SEQ_LEN: int = _hello["max_seq_len"]
VOCAB_SIZE: int = _hello["vocab_size"]
EVAL_ROWS: int = _hello.get("eval_rows", 1)
DEVICE: str = _hello["device"]
TOKEN_DTYPE = torch.uint8 if VOCAB_SIZE <= 256 else torch.uint16
if DEVICE == "cpu":
    torch.set_num_threads(1)  # as in a box: more threads cost more CPU-seconds than they save
seeding.seed_everything(_hello["seed"])
