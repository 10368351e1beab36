"""What the guard refuses, and that it says where and what would do; and what it must let through."""

from __future__ import annotations

import pytest

from evolve.model import Rules
from operators.guard import check
from operators.names import premature, undefined
from tests.operators.strategies import SCRIPTS, SEED

RULES = Rules(
    protected=("prepare", "TIME_BUDGET", "Tokenizer", "evaluate_bpb", "make_dataloader"),
    imports=("torch", "math", "time", "dataclasses", "prepare"),
    contract=("evaluate_bpb", "make_dataloader"),
)
LINES = SEED.count("\n")


@pytest.mark.parametrize("source", SCRIPTS.values(), ids=SCRIPTS)
def test_the_scripts_are_admissible(source):
    assert check(source, RULES) is None


@pytest.mark.parametrize(
    "code",
    [
        "model.eval(); fast = torch.compile(model)",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "from torch.nn import functional",
        "def run(model, TIME_BUDGET):\n    return TIME_BUDGET",
        "class Box:\n    def set(self):\n        self.TIME_BUDGET = TIME_BUDGET\n        setattr(self, 'x', 1)",
        "def later():\n    return defined_below()\n\n\ndef defined_below():\n    return later",
        "squares = [i * i for i in range(3) if (half := i / 2)]\nprint(half)",
        "def count():\n    global total\n    total = 1\n\n\ncount()\nprint(total)",
        "try:\n    pass\nexcept ValueError as error:\n    print(error)",
        "def error(input, target):\n    return F.mse_loss(input, target)",
        "double = lambda input: 2 * input",
        "def make():\n    global net\n    net = 1\n\n\nmake()\nprint(net)\nnet = net + 1",
    ],
)
def test_ordinary_code_is_let_through(code):
    assert check(f"{SEED}{code}\n", RULES) is None


@pytest.mark.parametrize(
    "code",
    [
        "TIME_BUDGET = 9", "TIME_BUDGET += 9", "TIME_BUDGET: int = 9", "del TIME_BUDGET", "(TIME_BUDGET := 9)",
        "for TIME_BUDGET in (9,): pass", "with autocast as TIME_BUDGET: pass", "import math as TIME_BUDGET",
        "from prepare import TIME_BUDGET as budget", "def TIME_BUDGET(): pass", "class TIME_BUDGET: pass",
        "a, (b, *TIME_BUDGET) = 1, (2, 3)", "def f(x, TIME_BUDGET=9): pass", "f = lambda *, TIME_BUDGET=9: 1",
        "def f():\n    global TIME_BUDGET", "match step:\n    case TIME_BUDGET: pass",
        "try: pass\nexcept ValueError as TIME_BUDGET: pass", "[0 for TIME_BUDGET in (9,)]",
    ],
)  # fmt: skip
def test_a_protected_name_cannot_be_rebound(code):
    reason = check(f"{SEED}{code}\n", RULES)
    assert reason is not None and "'TIME_BUDGET' may not be rebound; it belongs to the fixed part" in reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import prepare\nprepare.clock = None", "'prepare.clock' may not be assigned"),
        ("import prepare\nsetattr(prepare, 'clock', None)", "setattr on 'prepare' is not allowed"),
        ("Tokenizer.encode = print", "'Tokenizer.encode' may not be assigned"),
        ("import os", "import of 'os' is not allowed; use torch, math, time, dataclasses, prepare"),
        ("import torchvision", "import of 'torchvision' is not allowed"),
        ("from . import prepare", "relative import; a program is a single file"),
        ("from math import *", "import by name"),
        ("exec('x = 1')", "'exec' is not allowed"),
        ("run = eval", "'eval' is not allowed"),
        ("globals()['TIME_BUDGET'] = 9", "'globals' is not allowed"),
        ("open('x')", "'open' is not allowed"),
        ("def f(open=open):\n    return open('x')", "'open' is not allowed"),
        ("def f(open):\n    return open\nopen('x')", "'open' is not allowed"),
        ("__import__('os')", "'__import__' is not allowed"),
        ("torch.load('x')", "'torch.load' is not allowed; a program has no files"),
        ("torch.os.listdir('/')", "'torch.os' is not allowed; a program has no files"),
        ("torch.random._sys", "'torch.random._sys' is not allowed; a program has no files"),
        ("torch.UntypedStorage.from_file('x')", "'torch.UntypedStorage.from_file' is not allowed; a program has no"),
        ("print(().__class__.__subclasses__())", "access to '__subclasses__' is not allowed"),
        ("getattr(train_step, '__globals__')", "'__globals__' is not allowed in a string"),
        ("print(undefined_name)", "'undefined_name' is not defined anywhere; define or import it"),
        ("def f():\n    return undefined_name", "'undefined_name' is not defined anywhere"),
        ("print(late)\nlate = 1", "'late' is used before it is defined; move the definition up"),
        ("return 1", "'return' outside function"),
        ("x = (1,", "'(' was never closed"),
    ],
)
def test_refusals_name_the_line_the_name_and_the_cure(code, reason):
    answer = check(f"{SEED}{code}\n", RULES)
    assert answer is not None and reason in answer
    assert answer.startswith("line ") and int(answer[5 : answer.index(":")]) > LINES


def test_a_contract_name_must_be_called():
    source = SEED.replace("evaluate_bpb(model, tokenizer, BATCH_SIZE)", "evaluate_bpb")
    assert check(source, RULES) == "'evaluate_bpb' is never called; the task asks for it"
    assert check("import prepare\nprepare.evaluate_bpb()\nprepare.make_dataloader()\n", RULES) is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a = 1\nb = '\0'\n", "line 2: NUL character"),
        ("a = 1\r\n", "line 1: carriage return"),
        ("a = 1\nb = '\ud800'\n", "line 2: '\\ud800' is not valid UTF-8"),
        ("# é" + "x" * 97, "the program has 101 bytes, 100 are allowed"),
        ("x = " + "-" * 90 + "1", None),
    ],
)
def test_the_text_itself(source, reason):
    answer = check(source, Rules(max_bytes=100))
    assert (answer is None) if reason is None else (answer is not None and answer.startswith(reason))


def test_nesting_beyond_the_compiler_is_a_reason_not_a_crash():
    assert "nest expressions less deeply" in (check("x = " + "-" * 100_000 + "1", Rules(max_bytes=200_000)) or "")


def test_at_most_three_reasons_are_given():
    answer = check("".join(f"print(x{i})\n" for i in range(9)), Rules())
    assert answer is not None and [part[:7] for part in answer.split("; line")] == ["line 1:", " 2: 'x1", " 3: 'x2"]


def test_names_are_resolved_by_scope():
    source = "def f(a):\n    b = a\n    return [c for c in b if d]\nclass K:\n    e = 1\n    def m(self): return e\n"
    assert undefined(source) == (("d", 3), ("e", 6))


def test_what_functions_use_is_not_premature_but_their_defaults_are():
    assert premature("def f(x=early):\n    return late\n\n\nlate = early = 1\n") == (("early", 1),)
