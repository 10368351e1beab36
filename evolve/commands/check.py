"""Whether things can be trusted: `audit` for a program, `doctor` for this machine."""

from __future__ import annotations

import argparse

from rich.console import Console

from evolve.commands.options import Commands, place_options
from evolve.commands.signals import ended_like_by_ctrl_c
from evolve.language_options import model_options
from evolve.reports.audit import audit_file
from evolve.reports.doctor import print_doctor


def register(commands: Commands) -> None:
    doctor = commands.add_parser("doctor", help="what is on and what is not: device, isolation, data, operators")
    place_options(doctor)
    model_options(doctor)
    doctor.add_argument("--ask", action="store_true", help="ask each model one tiny question")
    doctor.set_defaults(command=_doctor)
    audit = commands.add_parser("audit", help="train any train.py, probe it and say whether its score can be trusted")
    audit.add_argument("file", help="a training script")
    audit.add_argument("--seeds", type=int, default=3, help="trainings, each in a fresh box (default: %(default)s)")
    audit.add_argument("--budget", type=float, help="charged seconds of a training (default: the scale's)")
    place_options(audit)
    audit.set_defaults(command=_audit, interrupted="no verdict")


def _audit(options: argparse.Namespace, console: Console) -> int:
    with ended_like_by_ctrl_c():
        return audit_file(console, options)


def _doctor(options: argparse.Namespace, console: Console) -> int:
    return print_doctor(console, options)
