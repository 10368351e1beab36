"""What the operators of one model share: whom to ask, how to read programs, and the files that people write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evolve.model import Briefing, Mating, Proposal, Rejected
from operators.genome import Reader
from operators.llm import prompt
from operators.llm.desk import Desk
from operators.llm.dialogue import Question, converse
from operators.llm.ideas import offer, read_ideas
from operators.llm.lessons import Lessons
from operators.llm.prompt import Setting
from operators.llm.wire import Block, Request, Turn

Ask = Callable[[Mating, Briefing, Setting], tuple[Block, ...]]


@dataclass(frozen=True)
class Office:
    """One model's. `program` is the file with the task in prose; notes lie in `ideas/` beside it.

    These files are read anew for each question, so people may edit them while a run is on.
    """

    model: str
    desk: Desk
    reader: Reader
    program: Path
    lessons: Lessons
    answer_tokens: int
    prompt_tokens: int = 0

    def converse(
        self, way: str, mating: Mating, briefing: Briefing, ask: Ask, child: Callable[[str], Proposal]
    ) -> Proposal | Rejected:
        """Ask for a child in one `way` (mutate, crossover, repair); `ask` writes the question."""
        self.lessons.refresh(self.desk, self.model, briefing, self._setting(mating, briefing, prompt.SHORT))

        def request(brevity: int) -> Request:
            setting = self._setting(mating, briefing, brevity)
            turns = (Turn("user", ask(mating, briefing, setting)),)
            return Request(self.model, prompt.system(briefing, setting), turns, self.answer_tokens, way)

        return converse(self.desk, Question(f"ask/{mating.index}/call", request, child, self.prompt_tokens))

    def _setting(self, mating: Mating, briefing: Briefing, brevity: int) -> Setting:
        used = [c.idea for c in briefing.candidates if c.idea]
        ideas = offer(read_ideas(self.program.with_name("ideas")), mating.seed, used)
        return Setting(read_text(self.program), self.lessons.text(), ideas, brevity)


def read_text(path: Path) -> str:
    """A file that a person writes; "" where there is none or it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
