"""`embeddings_every_second_step`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import embeddings_every_second_step
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed

DEFINED = embeddings_every_second_step.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(embeddings_every_second_step, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip() and line not in DEFINED] == ["    hold_every_second(model)"]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(embeddings_every_second_step, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(embeddings_every_second_step, transformed(embeddings_every_second_step, SCRIPTS["plain"]))
        == "the embeddings are stepped every second time already"
    )
