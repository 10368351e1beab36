"""SMAC3 behind a pipe: a JSON object a line in, one out. It runs in SMAC's environment, where nothing of ours is.

    {"space": [{"name": "a", "kind": "float", "low": 0, "high": 1, "log": false, "start": 0.5}], "seed": 1, "first": 10}
                                  {}
    {"ask": 3}                    {"a": 0.25}
    {"tell": 3, "loss": 1.5}      {}

The start is the first that it is told of; then come `first` points of a Sobol sequence, then its random forest with
expected improvement: the facade for hyperparameters, as it is by default but for the size of the initial design. A loss
of null is a failure and has the worst loss that was told before.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

from ConfigSpace import Configuration, ConfigurationSpace, Float, Integer
from smac import HyperparameterOptimizationFacade as Facade
from smac import Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue
from smac.runhistory.enumerations import StatusType

TRIALS = 1_000_000  # more than a run has: the benchmark says when it ends
SEED = 0  # of the start's trial; SMAC goes on with the seed that it was told of first


class Optimiser:
    """Trials by their number; the start is number 0, asked for at once."""

    def __init__(self, begin: dict[str, Any], directory: str) -> None:
        space = ConfigurationSpace(seed=begin["seed"])
        for knob in begin["space"]:
            make = Integer if knob["kind"] == "int" else Float
            bounds = (knob["low"], knob["high"])
            space.add(make(knob["name"], bounds, log=knob["log"], default=knob["start"]))
        scenario = Scenario(space, deterministic=True, n_trials=TRIALS, seed=begin["seed"], output_directory=directory)
        design = Facade.get_initial_design(scenario, n_configs=begin["first"])
        self._facade = Facade(scenario, _unused, initial_design=design, logging_level=False, overwrite=True)
        start = space.get_default_configuration()
        self._open: dict[int, TrialInfo] = {0: TrialInfo(start, seed=SEED)}
        self._worst = 0.0

    def ask(self, number: int) -> dict[str, float]:
        info = self._open[number] = self._facade.ask()
        return {name: value.item() if hasattr(value, "item") else value for name, value in info.config.items()}

    def tell(self, number: int, loss: float | None) -> None:
        self._worst = self._worst if loss is None else max(self._worst, loss)
        status = StatusType.CRASHED if loss is None else StatusType.SUCCESS
        cost = self._worst if loss is None else loss
        self._facade.tell(self._open.pop(number), TrialValue(cost=cost, status=status))


def _unused(config: Configuration, seed: int = 0) -> float:
    raise RuntimeError("trials run elsewhere")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever SMAC prints is no answer
    with tempfile.TemporaryDirectory() as directory:
        optimiser = Optimiser(json.loads(sys.stdin.readline()), directory)
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            question = json.loads(line)
            if "ask" in question:
                answer = optimiser.ask(question["ask"])
            else:
                answer = {}
                optimiser.tell(question["tell"], question["loss"])
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
