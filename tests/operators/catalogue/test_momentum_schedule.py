"""`momentum_schedule`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import momentum_schedule
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed

DEFINED = momentum_schedule.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(momentum_schedule, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        f"{IMPORTS}, progress",
        "BETA1_START = 0.8  # knob: 0.5..0.95",
        "BETA1_WARMUP = 0.1  # knob: 0.01..0.5 log",
        "    for group in optimizer.param_groups:",
        '        if "betas" in group:',
        '            beta1, beta2 = group.setdefault("initial_betas", group["betas"])',
        '            group["betas"] = (warmed_up(progress(), beta1), beta2)',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(momentum_schedule, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(momentum_schedule, transformed(momentum_schedule, SCRIPTS["plain"]))
        == "the momentum is scheduled already"
    )
