"""`gradient_accumulation`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import gradient_accumulation
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(gradient_accumulation, SCRIPTS["plain"]))
    assert gone == [
        "    optimizer.zero_grad(set_to_none=True)",
        "    loss.backward()",
        "    nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)",
        "    optimizer.step()",
    ]
    assert [line for line in new if line.strip()] == [
        "import itertools",
        "ACCUMULATION = 2  # knob: 2|4|8",
        "micro_steps = itertools.count(1)",
        "    (loss / ACCUMULATION).backward()",
        "    if next(micro_steps) % ACCUMULATION == 0:",
        "        nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)",
        "        optimizer.step()",
        "        optimizer.zero_grad(set_to_none=True)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(gradient_accumulation, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "the block of the optimizer's step has not one zero_grad and one backward of a plain name",
    }


def test_happens_once() -> None:
    assert (
        refusal(gradient_accumulation, transformed(gradient_accumulation, SCRIPTS["plain"]))
        == "gradients are accumulated already"
    )
