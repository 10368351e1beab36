"""`weight_decay_schedule`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import weight_decay_schedule
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(weight_decay_schedule, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip()] == [
        f"{IMPORTS}, progress",
        "FINAL_WEIGHT_DECAY = 0.1  # knob: 0.01..3.0 log",
        "    for group in optimizer.param_groups:",
        '        initial = group.setdefault("initial_weight_decay", group["weight_decay"])',
        '        group["weight_decay"] = initial * (1.0 + (FINAL_WEIGHT_DECAY - 1.0) * progress())',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(weight_decay_schedule, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(weight_decay_schedule, transformed(weight_decay_schedule, SCRIPTS["plain"]))
        == "the weight decay is scheduled already"
    )
