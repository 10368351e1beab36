"""A browser for the session, and pages of made-up runs. Chromium is the system's: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evolve.page.html import page_of
from tests.page.synthetic import HOSTILE, Run, history_of

REQUIRED = "REQUIRE_BROWSER"  # if this variable is set, tests fail where there is no browser

Page = Any


@dataclass
class Visit:
    """An open page with what it said and asked for."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def dialog(self) -> Page:
        return self.page.locator("dialog#individual")

    def mark(self, kind: str) -> tuple[float, float, str]:
        """Where on the screen the last mark of a kind is in the scatter, and whose it is."""
        self.page.locator("#plot-front").scroll_into_view_if_needed()
        x, y, name = self.page.evaluate(PLACE, kind)
        return x, y, name


Open = Callable[..., Visit]
PLACE = """(kind) => {
  const data = shown.plots.find("front-source").data;
  const at = data.kind.lastIndexOf(kind);
  const view = Object.values(Bokeh.index.roots).find((view) => view.el.closest("#plot-front"));
  const box = view.canvas_view.el.getBoundingClientRect();
  const [x, y] = [view.frame.x_scale.compute(data.x[at]), view.frame.y_scale.compute(data.y[at])];
  return [box.x + x, box.y + y, data.id[at]];
}"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests; each opens its own context."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no Chromium or no Playwright")
        pytest.skip("no Chromium or no Playwright here: apt-get install chromium, pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visit(chromium: Any) -> Iterator[Open]:
    """Opens an address, and waits until the page is complete. What is given besides are options of the context."""
    contexts = []

    def open_page(address: str, ready: bool = True, **options: Any) -> Visit:
        contexts.append(chromium.new_context(**({"viewport": {"width": 1200, "height": 900}} | options)))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        found = Visit(page)
        page.on("console", lambda message: found.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: found.messages.append(f"error: {error}"))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(address)
        if ready:
            page.wait_for_selector("body[data-ready]", state="attached")
        return found

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def page_of_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page") / "report.html", Run(1000))


@pytest.fixture(scope="session")
def _thousand(visit: Open, page_of_thousand: Path) -> Visit:
    return visit(page_of_thousand.as_uri())


@pytest.fixture
def thousand(_thousand: Visit) -> Visit:
    """The page of 1,000 individuals, as it is when it was opened."""
    _thousand.page.keyboard.press("Escape")
    _thousand.page.evaluate(AFRESH)
    return _thousand


AFRESH = """() => {
  history.replaceState(null, "", location.pathname);
  for (const slider of document.querySelectorAll("#generation")) {
    slider.value = slider.max;
    slider.dispatchEvent(new Event("input"));
  }
}"""


@pytest.fixture(scope="session")
def hostile_run() -> Run:
    """Hypotheses, logs, reasons and code are markup."""
    return Run(120, hostile=HOSTILE)


@pytest.fixture(scope="session")
def hostile(visit: Open, hostile_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """The page of that run."""
    return visit(write_page(tmp_path_factory.mktemp("hostile") / "report.html", hostile_run).as_uri())


def write_page(path: Path, run: Run) -> Path:
    path.write_text(page_of(Path("runs/made-up"), history_of(run.events(), run.objectives)), encoding="utf-8")
    return path
