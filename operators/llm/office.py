"""What the operators of one model share: whom to ask, how to read programs, and the files that people write."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from evolve.model import Briefing, Mating, Proposal, Rejected
from operators.genome import Reader
from operators.llm import prompt
from operators.llm.desk import Desk
from operators.llm.dialogue import Child, Question, converse
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
    _latest: list[str] = field(default_factory=lambda: [""])

    def converse(self, way: str, mating: Mating, briefing: Briefing, ask: Ask, child: Child) -> Proposal | Rejected:
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
        return Setting(self._task(), self.lessons.text(), ideas, brevity, self.reader.rules)

    def _task(self) -> str:
        """The task as its file says it, or last said it: a file that is being saved may be missing, or half a text."""
        with suppress(OSError, UnicodeDecodeError):
            self._latest[0] = self.program.read_text(encoding="utf-8")
        return self._latest[0]


def check_program(path: Path, say: Callable[[str], None]) -> None:
    """See that the task can be read, before a model is paid for it. Raises ValueError, with the cure."""
    try:
        path.read_text(encoding="utf-8")
    except FileNotFoundError:
        say(f"{path} is missing: models are asked without a task in prose")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): mend that, or remove it") from error
