"""`lion`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import lion
from tests.operators.catalogue.harness import OPTIMIZER, SCRIPTS, changed_lines, refusal, transformed

DEFINED = lion.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(lion, SCRIPTS["plain"]))
    assert gone == [OPTIMIZER]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "LION_LR_RATIO = 0.2  # knob: 0.03..1.0 log",
        OPTIMIZER.replace("torch.optim.AdamW", "Lion"),
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(lion, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(lion, transformed(lion, SCRIPTS["plain"]))
        == "expected one construction of AdamW in the script, found 0"
    )
