"""`inverse_sqrt`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import inverse_sqrt
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed

DEFINED = inverse_sqrt.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(inverse_sqrt, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        f"{IMPORTS}, progress",
        "LR_DECAY = 10.0  # knob: 1..1000 log",
        "    for group in optimizer.param_groups:",
        '        group["lr"] = group.setdefault("initial_lr", group["lr"]) * lr_inverse_sqrt(progress())',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(inverse_sqrt, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(inverse_sqrt, transformed(inverse_sqrt, SCRIPTS["plain"]))
        == "the learning rate decays with the inverse square root already"
    )
