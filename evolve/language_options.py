"""The options about language models on the command line, and what a run says of them at its start."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evolve import plugins
from evolve.language import HOW, Language

CAPS = ("max_usd", "max_tokens")


def model_options(parser: argparse.ArgumentParser) -> None:
    """Which models, and who serves them."""
    group = parser.add_argument_group("language models")
    group.add_argument("--model", action="append", metavar="NAME", help="a model that makes children; repeatable")
    group.add_argument(
        "--llm", metavar="SOURCE", help="api (default), mailbox:DIR (a coding agent or a person), replay:RUN"
    )
    group.add_argument(
        "--llm-url", metavar="URL", help="a server of the Messages API, such as llama.cpp; no key needed"
    )
    group.add_argument(
        "--llm-timeout", type=float, default=600.0, metavar="S", help="for one call (default: %(default)g)"
    )
    group.add_argument("--llm-extra", metavar="JSON", help="""put into each request, as '{"temperature": 0.8}'""")
    group.add_argument("--web", action="store_true", help="let models use their server's own web search")
    group.add_argument(
        "--prompt-tokens", type=int, default=0, help="the longest prompt (default: what the model takes)"
    )
    group.add_argument("--answer-tokens", type=int, default=8000, help="the longest answer (default: %(default)s)")
    cap_options(group, 0)


def cap_options(parser: argparse._ActionsContainer, default: int | None = None) -> None:
    """What models may cost in all; None leaves it as it was."""
    parser.add_argument(
        "--max-usd", type=float, default=default, help="dollars in all, calls in flight included; 0: no limit"
    )
    parser.add_argument("--max-tokens", type=int, default=default, help="tokens in all, likewise; 0: no limit")


def resume_models(options: argparse.Namespace, models: Sequence[str], before: Mapping[str, Any] | None) -> None:
    """Set the options as an earlier process of the run had them; caps that are given anew are kept."""
    known = before or asdict(Language(()))
    options.model = list(models) or None
    options.llm = f"{known['source']}:{known['place']}".rstrip(":") if models else None
    options.llm_url, options.web, options.llm_timeout = known["url"] or None, known["web"], known["timeout"]
    options.llm_extra = json.dumps(known["extra"])
    options.prompt_tokens, options.answer_tokens = known["prompt_tokens"], known["answer_tokens"]
    for name in CAPS:
        if getattr(options, name) is None:
            setattr(options, name, known[name])


def announce_operators(operators: Collection[str], language: Language | None) -> str:
    """Who makes the children, and how to have it otherwise."""
    names = f"Operators: {', '.join(operators)}."
    if language is None:
        built_in = all(name in plugins.OPERATORS for name in operators)
        what = " No LLM: children are made by built-in transformations of the syntax tree." if built_in else ""
        return f"{names}{what} For an LLM {HOW}."
    api = plugins.load(plugins.LANGUAGE_SERVER)(language.url or None, os.environ)
    who = {"api": api, "mailbox": f"the mailbox {language.place}"}
    served = who.get(language.source, f"the answers recorded in {language.place}")
    caps = [f"{language.max_usd:g} USD"] if language.max_usd else []
    caps += [f"{language.max_tokens:,} tokens"] if language.max_tokens else []
    most = f", at most {' and '.join(caps)}" if caps else ", without a limit (--max-usd, --max-tokens)"
    return (
        f"{names} LLM: {', '.join(language.models)} by {served}{most}. Without: --operator catalogue --operator merge."
    )
