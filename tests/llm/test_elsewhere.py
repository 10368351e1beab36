"""What was tried in other runs, as models are told of it."""

from __future__ import annotations

from dataclasses import replace

from evolve.elsewhere import Row, entry
from operators.llm import prompt
from operators.llm.prompt import FULL, SHORT, Setting
from operators.llm.wire import Block
from tests.llm import family

ROWS = (Row("a1b2c3d", "discard", "switch to GeLU activation", 0.0118), Row("b2c3d4e", "crash", "OOM", None))
TOLD = tuple(map(entry, ROWS))


def asked(elsewhere: tuple[str, ...], brevity: int = FULL) -> tuple[Block, ...]:
    briefing = replace(family.briefing(), elsewhere=elsewhere)
    return prompt.mutation(family.mating(14, family.seed()), briefing, Setting("", brevity=brevity))


def test_it_comes_before_the_journal_of_the_run_and_says_that_numbers_cannot_be_compared() -> None:
    first, *rest = asked(TOLD)
    assert first.text.startswith("# Tried elsewhere") and "cannot be compared" in first.text
    assert [line for line in first.text.splitlines() if line.startswith("* ")] == [f"* {line}" for line in TOLD]
    assert [block.text for block in rest] == [block.text for block in asked(())], "nothing else changes"


def test_without_a_journal_in_the_cache_it_is_kept_there_itself() -> None:
    without = replace(family.briefing(), candidates=family.briefing().candidates[:1])
    blocks, _ = prompt.journal(replace(without, elsewhere=TOLD), Setting(""))
    assert [block.cached for block in blocks] == [True] and prompt.journal(without, Setting(""))[0] == []


def test_a_short_prompt_leaves_it_out() -> None:
    assert not any("elsewhere" in block.text.lower() for block in asked(TOLD, SHORT))
