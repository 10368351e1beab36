"""`adaptive_clipping`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import adaptive_clipping
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed

DEFINED = adaptive_clipping.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(adaptive_clipping, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "ADAPTIVE_CLIP = 0.05  # knob: 0.003..1.0 log",
        "    for group in optimizer.param_groups:",
        '        clip_to_weights(group["params"])',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(adaptive_clipping, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(adaptive_clipping, transformed(adaptive_clipping, SCRIPTS["plain"]))
        == "gradients are clipped to the size of the weights already"
    )
