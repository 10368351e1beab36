"""What the user says about language models: read once, refused with a cure, and taken over by `resume`."""

from __future__ import annotations

import argparse
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import pytest

from evolve.assemble import DEFAULT_OPERATORS, LANGUAGE_OPERATORS, weights_of
from evolve.config import ConfigError
from evolve.language import Language, language_of
from evolve.language_options import announce_operators, cap_options, model_options, resume_models


def options(*words: str) -> Namespace:
    parser = argparse.ArgumentParser()
    model_options(parser)
    return parser.parse_args(words)


def language(*words: str) -> Language:
    found = language_of(options(*words))
    assert found is not None
    return found


def test_without_options_there_is_no_model() -> None:
    assert language_of(options()) is None
    assert language_of(options("--max-usd", "3", "--web")) is None


@pytest.mark.parametrize(
    ("words", "models", "source", "place"),
    [
        (["--model", "m"], ("m",), "api", ""),
        (["--llm", "api", "--model", "m"], ("m",), "api", ""),
        (["--model", "org/m:7b", "--model", "other"], ("org/m:7b", "other"), "api", ""),
        (["--llm-url", "http://here"], ("local",), "api", ""),
        (["--llm-url", "http://here", "--model", "m"], ("m",), "api", ""),
        (["--llm", "mailbox:some/where: else"], ("mailbox",), "mailbox", str(Path("some/where: else").absolute())),
        (["--llm", "mailbox:box", "--model", "me"], ("me",), "mailbox", str(Path("box").absolute())),
    ],
)
def test_who_is_asked(words: list[str], models: tuple[str, ...], source: str, place: str) -> None:
    found = language(*words)
    assert (found.models, found.source, found.place) == (models, source, place)


def test_a_recorded_run_has_to_be_there(tmp_path: Path) -> None:
    assert language("--llm", f"replay:{tmp_path}").models == ("replay",)
    with pytest.raises(ConfigError, match="no such run directory"):
        language("--llm", f"replay:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("source", ["mailbox", "replay"])
def test_a_folder_is_found_again_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "box").mkdir()
    monkeypatch.chdir(tmp_path)
    before = language("--llm", f"{source}:box")
    monkeypatch.chdir(tmp_path / "here")
    again = Namespace(max_usd=None, max_tokens=None)
    resume_models(again, before.models, asdict(before))
    assert language_of(again) == before and before.place == str(tmp_path / "box")


def test_every_option_arrives() -> None:
    caps = ["--max-usd", "2.5", "--max-tokens", "9000"]
    sizes = ["--prompt-tokens", "7000", "--answer-tokens", "300", "--llm-timeout", "20"]
    extra = ["--llm-extra", '{"temperature": 0.8, "stop": ["x"]}']
    assert language("--llm-url", "http://here", "--model", "m", "--web", *caps, *sizes, *extra) == Language(
        models=("m",),
        url="http://here",
        web=True,
        max_usd=2.5,
        max_tokens=9000,
        prompt_tokens=7000,
        answer_tokens=300,
        timeout=20.0,
        extra={"temperature": 0.8, "stop": ["x"]},
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--llm", "nonsense"], "--llm nonsense: write"),
        (["--llm", ""], "needs a model|write api"),
        (["--llm", "api:somewhere", "--model", "m"], "write api"),
        (["--llm", "mailbox:"], "write api"),
        (["--llm", "api"], "--llm api needs a model: name a model with --model"),
        (["--model", "a", "--model", "a"], "different names"),
        (["--model", ""], "different names"),
        (["--model", "a,b"], "comma"),
        (["--model", "a b"], "blank"),
        (["--model", "a@b"], "without @"),
        (["--model", "m", "--max-usd", "nan"], "--max-usd must be a number above 0, not nan"),
        (["--model", "m", "--max-usd", "-0.1"], "--max-usd"),
        (["--model", "m", "--max-tokens", "-1"], "--max-tokens"),
        (["--model", "m", "--prompt-tokens", "-1"], "--prompt-tokens"),
        (["--model", "m", "--answer-tokens", "0"], "--answer-tokens"),
        (["--model", "m", "--llm-timeout", "0"], "--llm-timeout"),
        (["--model", "m", "--llm-timeout", "inf"], "--llm-timeout"),
        (["--model", "m", "--llm-extra", "{"], "it is no JSON"),
        (["--model", "m", "--llm-extra", "7"], "write a JSON object"),
        (["--model", "m", "--llm-extra", '{"top_p": Infinity}'], "Infinity is no number"),
        (["--model", "m", "--llm-extra", '{"top_p": 1, "max_tokens": 9}'], "max_tokens .*: use --answer-tokens"),
        (["--model", "m", "--llm-extra", '{"model": "dear"}'], "model is not for it to set: use --model"),
        (["--model", "m", "--llm-extra", '{"tools": []}'], "tools is not .*: use --web"),
        (["--model", "m", "--llm-extra", '{"system": ""}'], "system is not .*: write into .*program.md"),
        (["--model", "m", "--llm-extra", '{"messages": []}'], "messages is not for it to set"),
        (["--model", "m", "--llm-extra", '{"stream": false}'], "stream is not for it to set"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        if language_of(options(*words)) is None:
            raise ConfigError("needs a model")


def test_a_model_and_somebody_to_ask_it() -> None:
    model = Language(("m",))
    assert weights_of(None, model) == weights_of(["auto"], model) == LANGUAGE_OPERATORS
    assert weights_of(None, None) == weights_of(["auto"], None) == DEFAULT_OPERATORS
    assert weights_of(["llm=2", "catalogue"], model) == {"llm": 2.0, "catalogue": 1.0}
    assert weights_of(["auto", "catalogue=0.3"], model) == LANGUAGE_OPERATORS | {"catalogue": 0.3}
    with pytest.raises(ConfigError, match="llm has no model: name a model with --model"):
        weights_of(["llm"], None)
    with pytest.raises(ConfigError, match="add --operator llm"):
        weights_of(["catalogue"], model)


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "a", "--model", "b", "--web", "--max-usd", "2", "--llm-extra", '{"temperature": 0.5}'],
        ["--llm-url", "http://here", "--max-tokens", "500", "--answer-tokens", "50", "--prompt-tokens", "70"],
        ["--llm", "mailbox:some:box", "--llm-timeout", "5"],
    ],
)
def test_resume_takes_over_what_was_said(words: list[str]) -> None:
    before = language(*words)
    parser = argparse.ArgumentParser()
    cap_options(parser)
    again = parser.parse_args([])
    resume_models(again, before.models, asdict(before))
    assert language_of(again) == before
    raised = parser.parse_args(["--max-tokens", "77"])
    resume_models(raised, before.models, asdict(before))
    assert language_of(raised) == Language(**asdict(before) | {"max_tokens": 77})
    lifted = parser.parse_args(["--max-usd", "0", "--max-tokens", "0"])
    resume_models(lifted, before.models, asdict(before))
    assert language_of(lifted) == Language(**asdict(before) | {"max_usd": 0.0, "max_tokens": 0})


def test_resume_of_a_run_without_a_model() -> None:
    parser = argparse.ArgumentParser()
    cap_options(parser)
    again = parser.parse_args([])
    resume_models(again, [], None)
    assert language_of(again) is None


def test_the_first_line_says_who_makes_children_and_how_to_have_it_otherwise() -> None:
    said = announce_operators(["llm", "tune"], language("--model", "a", "--model", "b"))
    assert "Operators: llm, tune. LLM: a, b by the Anthropic API, without a limit (--max-usd, --max-tokens)." in said
    assert "Without: --operator catalogue" in said
    capped = announce_operators(["llm"], Language(("m",), url="http://here", max_usd=2, max_tokens=50_000))
    assert "m by http://here, at most 2 USD and 50,000 tokens." in capped
    assert "the mailbox box" in announce_operators(["llm"], Language(("m",), "mailbox", "box"))
    assert "the answers recorded in old" in announce_operators(["llm"], Language(("m",), "replay", "old"))
    without = announce_operators(["catalogue", "merge"], None)
    assert "No LLM: children are made by built-in transformations" in without and "--llm mailbox:DIR" in without
    assert "No LLM" not in announce_operators(["my.module:Mine"], None)
