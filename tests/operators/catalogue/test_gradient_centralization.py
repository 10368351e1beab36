"""`gradient_centralization`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import gradient_centralization
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed

DEFINED = gradient_centralization.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(gradient_centralization, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "    for group in optimizer.param_groups:",
        '        centralize(group["params"])',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(gradient_centralization, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(gradient_centralization, transformed(gradient_centralization, SCRIPTS["plain"]))
        == "gradients are centralized already"
    )
