"""The judge: owns validation and test text, seeds, clock and arithmetic. Runs no candidate code, never imports torch.

Under the engine (`--scale S --core K[,K...] [--device UUID] --cache DIR [--data DIR]`) it answers requests for trials,
JSON lines on standard input and output, and runs each in a box. `--devices` prints, as one JSON object, the GPUs that
it could be given. By hand (`--attach FD --pid PID`) it serves the process that started it.
`--prepare` only prepares the data; `--counts` only prints, for a final report, what count models lose on all its texts
as one JSON object. Its own words go to standard error.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import baselines
import compiled
import corpus
import serving
from devices import listing
from documents import DataError
from drivers import open_source
from nursery import Infrastructure
from selftest import NoIsolation, settle
from serving import say
from session import Session
from texts import REPORTED, Scale, Texts
from trials import Judge, boxes, make_clock, open_guard
from wire import Wire


def serve_engine(options: argparse.Namespace) -> None:
    """Be a slot of the engine until its end of the pipe closes."""
    engine = serving.attend()
    try:
        scale = Scale.read(options.scale)
        if options.core or scale.device == "cpu":
            os.sched_setaffinity(0, options.core or {0})
        guard = open_guard(scale, options.device)
        texts = Texts(corpus.load(options.cache, options.data, say, scale.corpus), scale, say)
        about = {"corpus": texts.corpus.describe(), "baselines": baselines.load(texts, scale, say)}
        folder = corpus.box_folder(options.cache)
        program = compiled.seed(scale, options.seed_of) if guard else b""
        place = compiled.place(options.cache, program, guard.device.name) if guard else None
    except (DataError, Infrastructure) as error:
        engine.reply({"ready": False, "error": str(error)})
        return
    hidden = [path for path in (options.cache, options.data) if path]
    asked, unsafe = options.isolation, options.unsafe_no_sandbox
    try:
        with ExitStack() as alone:  # the self-test computes on the device
            if guard:
                alone.enter_context(guard.alone(engine.wait))
                guard.settle()
            settled = settle(lambda level: boxes(scale, folder, level, guard, place), asked, unsafe, hidden, say)
    except (DataError, NoIsolation, Infrastructure) as error:
        engine.reply({"ready": False, "error": str(error)})
        return
    judge = Judge(scale, texts, engine, settled, options.patience, guard)
    try:
        if guard and place:
            with guard.alone(engine.wait):
                compiled.fill(judge, place, program, say)
        serving.serve(engine, judge, about)
    finally:
        judge.nursery.close()


def serve_process(options: argparse.Namespace) -> None:
    """Serve one process over an inherited socket until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the script, whose end closes the socket
    wire = Wire(socket.socket(fileno=options.attach))
    try:
        scale = Scale.read(options.scale)
        texts = Texts(corpus.load(options.cache, options.data, say, scale.corpus), scale, say)
    except DataError as error:
        wire.send({"error": str(error)})
        return
    terms = serving.by_hand(options, scale.budget)
    serving.converse(wire, Session(scale, texts, make_clock(scale, options.pid), terms))


def main() -> None:
    parser = serving.options_of_judges(__doc__, "a folder of .txt, .jsonl or .parquet files")
    parser.add_argument("--device", help="at a scale for GPUs: the index or UUID of one (default: the first)")
    parser.add_argument("--devices", action="store_true", help="print which GPUs there are and end")
    parser.add_argument(
        "--seed-of",
        type=Path,
        default=compiled.FOLDER,
        metavar="TARGET",
        help="whose seed program's compile cache trials on a GPU begin with (default: this one)",
    )
    parser.add_argument("--prepare", action="store_true", help="prepare the data and end")
    parser.add_argument("--counts", action="store_true", help="print the losses of count models on all texts and end")
    options = parser.parse_args()
    if options.devices:
        print_devices()
    elif options.attach is not None:
        serve_process(options)
    elif options.prepare:
        prepare_data(options)
    elif options.counts:
        print_counts(options)
    else:
        serve_engine(options)


def print_devices() -> None:
    """Print the GPUs that may be used, and why there is none."""
    try:
        told: dict[str, object] = {"devices": listing(open_source())}
    except Infrastructure as error:
        told = {"devices": [], "error": str(error)}
    print(json.dumps(told))


def prepare_data(options: argparse.Namespace) -> None:
    """Prepare the corpus of a scale and say what was made."""
    try:
        scale = Scale.read(options.scale)
        texts = Texts(corpus.load(options.cache, options.data, say, scale.corpus), scale, say)
        say(f"ready: {texts.corpus.describe()}; count models: {baselines.load(texts, scale, say)}")
    except DataError as error:
        sys.exit(str(error))


def print_counts(options: argparse.Namespace) -> None:
    """Print the losses of the count models on the rows of a report: for that alone, since it opens the sealed texts."""
    losses: dict[str, dict[str, float]] = {}
    try:
        scale = Scale.read(options.scale)
        if scale.tokenizer == "bytes":
            texts = Texts(corpus.load(options.cache, options.data, say, scale.corpus), scale, say)
            losses = baselines.count(texts, scale, REPORTED)
    except DataError as error:
        sys.exit(str(error))
    print(json.dumps(losses))


if __name__ == "__main__":
    main()
