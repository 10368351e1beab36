"""The methods that ask a language model: with recorded answers, and with a real server and a very small model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.baselines.centaur import SHARE
from benchmarks.comparison.advised import WAY, name_of
from benchmarks.comparison.method import load
from benchmarks.comparison.models import by_default, check
from benchmarks.comparison.numbers import OPERATOR
from benchmarks.comparison.runner import place_of, run
from benchmarks.comparison.trace import FILE, read
from benchmarks.tasks.synthetic import SEED, TASK, blocks_of
from evolve import records
from evolve.briefing import briefing
from evolve.config import ConfigError
from evolve.history import History
from evolve.language import Language
from evolve.proposals import Made
from evolve.reports.open import open_history, read_events
from evolve.store import Store
from tests.llm.llama import LlamaServer
from tests.llm.test_llama import MODEL, needs_the_model, needs_the_server

TOTAL = 500.0
ASKING = {"greedy_llm", "centaur"}
MODEL_NAME = "small"


def recorded(folder: Path, way: str, answers: Sequence[str]) -> Language:
    """A model that gives these answers, one after another, to whatever it is asked in this way."""
    store = Store.open(folder, durable=False)
    for number, text in enumerate(answers):
        key = f"ask/{number}/call/0"
        store.append("question", f"{key}/question", {"key": key, "way": way, "digest": "", "request": {}})
        reply = {"key": key, "text": text, "stop": "end_turn", "model": MODEL_NAME}
        store.append("reply", f"{key}/reply", reply)
    store.close()
    return Language((MODEL_NAME,), "replay", str(folder))


def block(name: str) -> str:
    return f"""HYPOTHESIS: {name} may help
EXPECT: -0.05
IDEA: none

EDIT insert_after embed
```python
def {name}(x):
    return x * 1.0
```

EDIT replace train
```python
def train(x):
    x = embed(x)
    x = {name}(x)
    x = layers(x)
    x = optimise(x)
    x = regularise(x)
    return x
```
"""


def numbers(rate: float, **others: float) -> str:
    return f"I propose {json.dumps({'LEARNING_RATE': rate, 'NONSENSE': 1, **others})}, which is better."


def test_without_a_model_the_methods_are_left_out_and_asking_for_one_says_how_to_name_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not ASKING & set(by_default(None)) and set(by_default(Language(("a",)))) >= ASKING
    for name in ASKING:
        with pytest.raises(ConfigError, match=f"{name} asks a language model, and there is none: name a model"):
            check(["random", name], None)
        with pytest.raises(ConfigError, match="--llm-url"):
            run(name, TASK, 1, TOTAL, tmp_path)
    assert main(["run", "--methods", "centaur", "--tasks", "synthetic", "-o", str(tmp_path)]) == 2
    assert "centaur asks a language model" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_greedy_with_a_model_takes_its_edits_of_the_best(tmp_path: Path) -> None:
    language = recorded(
        tmp_path / "old", "mutate", [block("norm"), "no answer", block("momentum"), block("warmup")] * 9
    )
    run("greedy_llm", TASK, 1, TOTAL, tmp_path, language=language)
    history = open_history(place_of("greedy_llm", TASK, 1, tmp_path))
    made = [c for c in history.candidates.values() if c.operator == f"mutate@{MODEL_NAME}"]
    measured = [c for c in made if c.verdict == "ok"]
    assert {b for c in measured for b in blocks_of(c.genome.source)} >= {"norm"}
    assert {c.operator for c in history.candidates.values() if c.index} == {f"mutate@{MODEL_NAME}", "step"}
    assert "rejected" in {c.verdict for c in made}  # what was no answer
    search = load("greedy_llm").setup(replace(TASK.given(), language=language), 1).search
    for candidate in history.candidates.values():
        search.tell(candidate)
    best = history.front[0]
    assert best.id != "0" and {search.ask(index).parents[0].id for index in range(900, 950)} == {best.id}


def test_three_asks_in_ten_go_to_the_model_and_cma_es_is_told_of_them(tmp_path: Path) -> None:
    answers = [numbers(10 ** (-2 - i / 50), WIDTH=9999) for i in range(60)]
    language = recorded(tmp_path / "old", WAY, answers)
    run("centaur", TASK, 1, TOTAL, tmp_path, language=language)
    directory = place_of("centaur", TASK, 1, tmp_path)
    history = open_history(directory)
    by_model = [c for c in history.candidates.values() if c.operator == name_of(MODEL_NAME)]
    assert by_model and {c.verdict for c in by_model} == {"ok"}
    rates = [float(answers[i].partition(": ")[2].partition(",")[0]) for i in range(len(by_model))]
    assert sorted(float(c.params["LEARNING_RATE"]) for c in by_model) == pytest.approx(sorted(rates), rel=1e-3)
    assert {c.params["WIDTH"] for c in by_model} == {512}  # moved into its range
    assert {c.genome.key for c in history.candidates.values()} == {SEED.key}
    setup = load("centaur").setup(replace(TASK.given(), language=language), 1)
    for candidate in history.candidates.values():
        setup.search.tell(candidate)
    asked = [setup.search.ask(index).operator for index in range(1000)]
    assert asked.count(name_of(MODEL_NAME)) == pytest.approx(1000 * SHARE, abs=60)
    assert set(asked) == {name_of(MODEL_NAME), OPERATOR}


def test_what_cma_es_draws_follows_from_the_log_with_the_models_trials(tmp_path: Path) -> None:
    language = recorded(tmp_path / "old", WAY, [numbers(10 ** (-2 - i / 50)) for i in range(60)])
    run("centaur", TASK, 1, 3 * TOTAL, tmp_path, language=language)  # some generations
    directory = place_of("centaur", TASK, 1, tmp_path)
    expected, deaf = open_history(directory).proposals, 0
    heard, unheard = dict[int, Made](), dict[int, Made]()
    for told_of_all, found in ((True, heard), (False, unheard)):
        setup = load("centaur").setup(replace(TASK.given(), language=language), 1)
        history = History(setup.search)
        for event in read_events(directory):
            history.replay([event])
            if event.kind == "tell" and not told_of_all and event.body["operator"] == name_of(MODEL_NAME):
                setup.search.steps.pop()  # type: ignore[attr-defined]
            if event.kind == "ask" and event.body["operator"] == OPERATOR and event.body["index"] in expected:
                mating = records.mating_from(event.body, history.candidates)
                found[mating.index] = setup.operators[OPERATOR].propose(mating, briefing(history, mating))
    for index, made in heard.items():
        assert made == replace(expected[index], cost=made.cost)
        deaf += unheard[index] != made
    assert deaf > 3  # it would have drawn others without what the model's trials came to


@pytest.mark.slow
@needs_the_server
@needs_the_model
def test_a_real_model_is_asked_and_what_that_took_is_in_the_trace(tmp_path: Path) -> None:
    assert MODEL is not None
    with LlamaServer(MODEL, threads=1, context=2048) as server:
        language = Language(("local",), url=server.url, answer_tokens=48, extra={"temperature": 0})
        run("centaur", TASK, 1, 120.0, tmp_path, language=language)
    trace = read(place_of("centaur", TASK, 1, tmp_path) / FILE)
    history = open_history(place_of("centaur", TASK, 1, tmp_path))
    assert history.calls.answers and trace.tokens == history.calls.tokens > 100 and trace.usd == 0.0
    assert trace.latency > sum(reply["seconds"] for reply in history.calls.answers.values()) * 0.9 > 0
