"""`report` on the command line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from evolve.cli import main
from tests.page.synthetic import Run, write


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs") / "made-up", Run(12).events())


def test_report_writes_a_page_and_says_how_large_it_is(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "page.html"
    assert main(["report", str(directory), "-o", str(output)]) == 0
    said = capsys.readouterr().out
    assert f"{output}" in said.replace("\n", "") and "12 individuals" in said
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_on_standard_output_is_utf_8_whatever_the_terminal_can_show(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["report", "--run-dir", str(directory), "-o", "-"]) == 0
    text = raw.getvalue().decode("utf-8")
    assert not text.isascii() and text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["report", "EMPTY"], "Start one with: python -m evolve --run-dir"),
        (["report", "RUN", "-o", "/nowhere/page.html"], "cannot write /nowhere/page.html"),
        (["report", "RUN", "--run-dir", "other"], "name the run once"),
        (["serve", "RUN", "--port", "70000"], "--port must be 0 to 65535"),
        (["serve", "RUN", "--port", "-1"], "--port must be 0 to 65535"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    directory: Path, tmp_path: Path, arguments: list[str], cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"EMPTY": str(tmp_path), "RUN": str(directory)}
    assert main([places.get(a, a) for a in arguments]) == 2
    said = capsys.readouterr().err
    assert cure in said and said.count("\n") == 1


def test_without_any_run_the_way_to_start_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 2
    assert "no run under runs/" in capsys.readouterr().err


def test_without_bokeh_the_way_to_install_it_is_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("evolve.page.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh.embed", None)
    assert main(["report", str(directory)]) == 2
    assert "pip install -c constraints.txt -e '.[page]'" in capsys.readouterr().err
