"""`clip_removal`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import clip_removal
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(clip_removal, SCRIPTS["plain"]))
    assert gone == [
        "GRAD_CLIP = 1.0  # largest norm of the gradient",
        "    nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)",
    ]
    assert [line for line in new if line.strip()] == []


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(clip_removal, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "expected one statement that clips the gradient in the script, found 0",
    }


def test_happens_once() -> None:
    assert (
        refusal(clip_removal, transformed(clip_removal, SCRIPTS["plain"]))
        == "expected one statement that clips the gradient in the script, found 0"
    )
