"""`warmup`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import warmup
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed

DEFINED = warmup.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(warmup, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        f"{IMPORTS}, progress",
        "LR_WARMUP = 0.05  # knob: 0.005..0.3 log",
        "LR_START = 0.05  # knob: 0.01..0.5 log",
        "    for group in optimizer.param_groups:",
        '        group["lr"] = group.setdefault("initial_lr", group["lr"]) * lr_warmup(progress())',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(warmup, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(warmup, transformed(warmup, SCRIPTS["plain"])) == "the learning rate is warmed up already"
