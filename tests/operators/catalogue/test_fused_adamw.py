"""`fused_adamw`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import fused_adamw
from tests.operators.catalogue.harness import OPTIMIZER, SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(fused_adamw, SCRIPTS["plain"]))
    assert gone == [OPTIMIZER]
    assert [line for line in new if line.strip()] == [
        OPTIMIZER.removesuffix(")") + ", fused=True)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(fused_adamw, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(fused_adamw, transformed(fused_adamw, SCRIPTS["plain"])) == "AdamW is told already which kernel to use"
    )
