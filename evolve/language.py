"""What the user says about language models: which ones, who serves them, and what they may cost. Checked when read."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolve.config import ConfigError

HOW = (
    "name a model with --model (its key in ANTHROPIC_API_KEY), a server with --llm-url, "
    "or a folder for a coding agent with --llm mailbox:DIR"
)

OURS = {  # what --llm-extra may not set, and what does
    "model": "use --model",
    "max_tokens": "use --answer-tokens",
    "tools": "use --web",
    "system": "write into the target's program.md",
    "messages": "the search writes them",
    "stream": "answers are always streamed",
}


@dataclass(frozen=True)
class Language:
    """`source` is "api", "mailbox" or "replay", `place` the folder of the latter two, from the root on: a run may be
    resumed from elsewhere. Caps of 0 are none.

    `prompt_tokens` bounds a prompt (0: the model's context), `answer_tokens` an answer. `extra` goes into the body of
    each request as it is, such as a temperature for a local server.
    """

    models: tuple[str, ...]
    source: str = "api"
    place: str = ""
    url: str = ""
    web: bool = False
    max_usd: float = 0.0
    max_tokens: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 8000
    timeout: float = 600.0
    extra: Mapping[str, Any] = field(default_factory=dict)


def language_of(options: Namespace) -> Language | None:
    """The language models of a run; None if the user named none. Raises `ConfigError`."""
    source, _, place = (options.llm or "api").partition(":")
    if source not in ("api", "mailbox", "replay") or (source != "api") != bool(place):
        raise ConfigError(f"--llm {options.llm}: write api, mailbox:DIR or replay:RUN_DIRECTORY")
    models = tuple(options.model or ([source] if source != "api" else []))
    if not models and options.llm_url:
        models = ("local",)
    if not models:
        if options.llm:
            raise ConfigError(f"--llm {options.llm} needs a model: {HOW}")
        return None
    if len(set(models)) < len(models) or any(not m or any(c in m for c in "@, ") for m in models):
        raise ConfigError(f"--model {' --model '.join(models)}: different names without @, comma or blank")
    if source == "replay" and not Path(place).is_dir():
        raise ConfigError(f"--llm replay:{place}: no such run directory")
    for name in ("max_usd", "max_tokens", "prompt_tokens", "answer_tokens", "llm_timeout"):
        value = getattr(options, name)
        if not 0 <= value < math.inf or (name in ("answer_tokens", "llm_timeout") and not value):
            raise ConfigError(f"--{name.replace('_', '-')} must be a number above 0, not {value}")
    return Language(
        models=models,
        source=source,
        place=str(Path(place).absolute()) if place else "",
        url=options.llm_url or "",
        web=options.web,
        max_usd=options.max_usd,
        max_tokens=options.max_tokens,
        prompt_tokens=options.prompt_tokens,
        answer_tokens=options.answer_tokens,
        timeout=options.llm_timeout,
        extra=_extra(options.llm_extra),
    )


def _extra(text: str | None) -> dict[str, Any]:
    try:
        extra = json.loads(text or "{}", parse_constant=_no_json)
    except ValueError as error:
        raise ConfigError(f"--llm-extra {text}: it is no JSON ({error})") from error
    if not isinstance(extra, dict):
        raise ConfigError(f"--llm-extra {text}: write a JSON object, such as '{{\"temperature\": 0.8}}'")
    if taken := OURS.keys() & extra.keys():
        name = min(taken)
        raise ConfigError(f"--llm-extra {text}: {name} is not for it to set: {OURS[name]}")
    return extra


def _no_json(word: str) -> None:
    """NaN and Infinity: Python reads them, servers and our log do not."""
    raise ValueError(f"{word} is no number")
