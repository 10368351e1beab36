"""The judge of the digits: owns the labels of validation and test images, seeds, clock and arithmetic.

The same machinery as train_target's (trials, boxes, isolation, watchdog, probes), which lies beside this folder. What
is this target's own: where images come from, how they are served and scored (classification.py), and that the file with
all labels is hidden from every box. Runs no candidate code, never imports torch.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent / "train_target"))
if find_spec("seeding") is None:
    sys.exit(f"train_target/ (or a link to it) must lie beside {FOLDER}")

import argparse  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402

import numpy as np  # noqa: E402

import corpus  # noqa: E402
import serving  # noqa: E402
from classification import Classification, untrained  # noqa: E402
from clock import Clock  # noqa: E402
from documents import DataError  # noqa: E402
from images import CLASSES, SHA256, Scale, Split, installed, load  # noqa: E402
from nursery import Infrastructure  # noqa: E402
from selftest import NoIsolation, settle  # noqa: E402
from serving import say  # noqa: E402
from terms import Terms  # noqa: E402
from trials import Judge, boxes, make_clock  # noqa: E402
from wire import Message, Wire  # noqa: E402


class DigitsJudge(Judge):
    """Runs trials on the digits; `texts` are here the splits of the images by name."""

    client = FOLDER

    def session(self, clock: Clock, terms: Terms) -> Classification:
        return Classification(self.scale, self.texts, clock, terms)  # type: ignore[arg-type]

    def untrained(self, before: Message) -> tuple[str, str]:
        return untrained(before)


def frequencies(splits: dict[str, Split]) -> float:
    """Nats of guessing the classes as often as they are in the training images, on validation images."""
    shares = np.bincount(splits["train"].labels, minlength=CLASSES) / len(splits["train"].labels)
    return float(-np.log(shares[splits["val"].labels]).mean())


def serve_engine(options: argparse.Namespace) -> None:
    """Be a slot of the engine until its end of the pipe closes."""
    engine = serving.attend()
    try:
        os.sched_setaffinity(0, options.core or {0})
        if options.data:
            raise DataError("the digits are the data of this target: leave out --data")
        scale, path = Scale.read(options.scale), installed()
        splits, folder = load(path), corpus.box_folder(options.cache)
        hidden = [options.cache, path.parent]
        settled = settle(
            lambda level: boxes(scale, folder, level, client=FOLDER),  # type: ignore[arg-type]
            options.isolation,
            options.unsafe_no_sandbox,
            hidden,
            say,
        )
    except (DataError, NoIsolation, Infrastructure) as error:
        engine.reply({"ready": False, "error": str(error)})
        return
    judge = DigitsJudge(scale, splits, engine, settled, options.patience)  # type: ignore[arg-type]
    about = {"corpus": {"name": "scikit-learn digits", "sha256": SHA256}, "baselines": {"class": frequencies(splits)}}
    try:
        serving.serve(engine, judge, about)
    finally:
        judge.nursery.close()


def serve_process(options: argparse.Namespace) -> None:
    """Serve one process over an inherited socket until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the script, whose end closes the socket
    wire = Wire(socket.socket(fileno=options.attach))
    try:
        scale, splits = Scale.read(options.scale), load(installed())
    except DataError as error:
        wire.send({"error": str(error)})
        return
    terms = serving.by_hand(options, scale.budget)
    session = Classification(scale, splits, make_clock(scale, options.pid), terms)  # type: ignore[arg-type]
    serving.converse(wire, session)


def main() -> None:
    parser = serving.options_of_judges(__doc__, "refused: the digits are the data")
    options = parser.parse_args()
    if options.attach is not None:
        serve_process(options)
    else:
        serve_engine(options)


if __name__ == "__main__":
    main()
