"""`cooldown_cosine`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import cooldown_cosine
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(cooldown_cosine, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip()] == [
        "import math",
        f"{IMPORTS}, progress",
        "COOLDOWN = 0.5  # knob: 0.1..1.0",
        "FINAL_LR = 0.05  # knob: 0.001..0.3 log",
        "def lr_cooldown(done):",
        '    """The learning rate\'s factor: half a cosine to FINAL_LR over the last COOLDOWN of the budget."""',
        "    left = max(0.0, min(1.0, (1.0 - done) / COOLDOWN))",
        "    return FINAL_LR + (1.0 - FINAL_LR) * (0.5 - 0.5 * math.cos(math.pi * left))",
        "    for group in optimizer.param_groups:",
        '        group["lr"] = group.setdefault("initial_lr", group["lr"]) * lr_cooldown(progress())',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(cooldown_cosine, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(cooldown_cosine, transformed(cooldown_cosine, SCRIPTS["plain"]))
        == "the learning rate has this cooldown already"
    )
