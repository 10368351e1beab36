"""The box's end of the wire, for the module `prepare` of any target: asks the judge, and answers its evaluation.

Runs beside a candidate and is trusted with nothing: what is scored are the logits that reach the judge.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch

Decode = Callable[[bytearray, int], torch.Tensor]  # what a request for logits holds, and its number of rows


class BudgetUsed(StopIteration):
    """The training stream has ended. A `for` loop over the loader ends by itself; a bare `next` has to catch this."""


class Judge:
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

    def batch(self, request: Mapping[str, object]) -> tuple[bytearray, int]:
        """The bytes of a batch for training, and its epoch. Raises BudgetUsed where there are no more."""
        answer, raw = self.ask(op="batch", **request)
        self.progress = answer["progress"]
        if answer.get("end"):
            raise BudgetUsed("the budget is used: loop with `for x, y, epoch in loader`, or catch StopIteration")
        return raw, answer["epoch"]

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


def connect(folder: Path) -> Judge:
    """The judge of this process: in a box the one that is there already, by hand one that is started from `folder`."""
    number = os.environ.pop("EVOLVE_BOX_FD", None)
    return Judge(socket.socket(fileno=int(number)) if number else _start(folder / "judge.py"))


def _start(script: Path) -> socket.socket:
    """Start a judge of our own, which will charge this process."""
    ours, theirs = socket.socketpair()
    names = ("scale", "budget", "data", "seed", "cache")
    given = [f"--{name}={value}" for name in names if (value := os.environ.get(f"EVOLVE_{name.upper()}"))]
    command = [sys.executable, str(script), "--attach", str(theirs.fileno()), "--pid", str(os.getpid())]
    subprocess.Popen(command + given, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    theirs.close()
    return ours


@torch.no_grad()
def evaluate(
    judge: Judge, model: torch.nn.Module, batch_size: int, device: str, decode: Decode, axes: str
) -> dict[str, object]:
    """What the judge says of `model` once it has answered all requests for logits. May be called once.

    `decode` makes inputs of the bytes of a request. Logits have the shape that the judge asks for, whose axes are named
    for whoever gets them wrong. On the CPU one part of the calls happens in a fork of this process. Raises ValueError
    where the model returns something else, and where the judge refuses.
    """
    parameters = sum(p.numel() for p in model.parameters())
    answer, raw = judge.ask(op="evaluate", batch_size=batch_size, parameters=parameters)
    shape = tuple(answer["shape"])

    def reply(raw: bytearray, buffer: torch.Tensor) -> dict[str, object]:
        """Answer requests, the first of which is `raw`, until a pass ends; returns what the judge says then."""
        answer: dict[str, object] = {}
        while raw:
            buffer.copy_(_checked(model(decode(raw, shape[0])), shape, axes))
            answer, raw = judge.ask(op="logits")
        return answer

    with mmap.mmap(judge.fds.pop(), 4 * math.prod(shape)) as memory:
        buffer = torch.frombuffer(memory, dtype=torch.float32).view(shape)
        training, modes = model.training, [(module, module.training) for module in model.modules()]
        model.eval()
        with _pinned(buffer, device):
            if device == "cpu":
                _in_a_fork(partial(reply, raw, buffer))
            else:
                reply(raw, buffer)
            answer = reply(judge.ask(op="pass")[1], buffer)
        model.train(training)
        for module, mode in modes:
            module.training = mode
        del buffer
    return answer


@contextlib.contextmanager
def _pinned(buffer: torch.Tensor, device: str) -> Iterator[None]:
    """Let the device write into a buffer of the host's by itself, where there is a device and its driver can."""
    pinned = device == "cuda" and not int(
        torch.cuda.cudart().cudaHostRegister(buffer.data_ptr(), 4 * buffer.numel(), 0)
    )
    try:
        yield
    finally:
        if pinned:
            torch.cuda.cudart().cudaHostUnregister(buffer.data_ptr())


def _in_a_fork(work: Callable[[], object]) -> None:
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
            work()
            code = 0
        finally:
            os._exit(code)
    with contextlib.suppress(ChildProcessError):  # the script lets nobody wait for its children
        os.waitpid(child, 0)


def _checked(logits: object, shape: tuple[int, ...], axes: str) -> torch.Tensor:
    if not isinstance(logits, torch.Tensor):
        raise ValueError(
            f"model(x) must return logits {axes}, a tensor of shape {shape}; it returned {type(logits).__name__}"
        )
    if tuple(logits.shape) != shape or not logits.is_floating_point():
        raise ValueError(
            f"model(x) must return floating-point logits of shape {shape}, {axes}, not {logits.dtype} of shape "
            f"{tuple(logits.shape)}"
        )
    return logits
