"""`clip_per_parameter`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import clip_per_parameter
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(clip_per_parameter, SCRIPTS["plain"]))
    assert gone == [
        "GRAD_CLIP = 1.0  # largest norm of the gradient",
        "    nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)",
    ]
    assert [line for line in new if line.strip()] == [
        "PARAMETER_CLIP = 0.3  # knob: 0.01..3.0 log",
        "    for p in model.parameters():",
        "        torch.nn.utils.clip_grad_norm_(p, PARAMETER_CLIP)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(clip_per_parameter, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(clip_per_parameter, transformed(clip_per_parameter, SCRIPTS["plain"]))
        == "parameters are clipped one by one already"
    )
