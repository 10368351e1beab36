"""`compile_model`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import compile_model
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["dataclass"], transformed(compile_model, SCRIPTS["dataclass"]))
    assert gone == []
    assert [line for line in new if line.strip()] == ["    model = torch.compile(model)"]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(compile_model, source) for name, source in SCRIPTS.items()} == {
        "plain": "the script compiles already",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(compile_model, transformed(compile_model, SCRIPTS["dataclass"])) == "the script compiles already"
