"""A browser for the session, and pages of made-up runs. Chromium is the system's: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evolve.page.html import page_of
from evolve.page.server import Server
from tests.page.synthetic import HOSTILE, Run, history_of

REQUIRED = "REQUIRE_BROWSER"  # if this variable is set, tests fail where there is no browser

Page = Any


@dataclass
class Visit:
    """An open page with what it said and asked for. `opened` is the heading of the individual in its address."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    opened: str = ""

    @property
    def errors(self) -> list[str]:
        return [message for message in self.messages if message.startswith(("error", "warning"))]

    @property
    def dialog(self) -> Page:
        return self.page.locator("dialog#individual")

    def mark(self, kind: str) -> tuple[float, float, str]:
        """Where on the screen the last mark of a kind is in the scatter, and whose it is."""
        self.page.locator("#plot-front").scroll_into_view_if_needed()
        x, y, name = self.page.evaluate(PLACE, kind)
        return x, y, name


Open = Callable[..., Visit]
NAMED = "197"  # the individual in the address that is opened first
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
    """One browser for all tests."""
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
    """Opens an address, and waits until the page is complete. A script is run before those of the page."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(20_000)

    def open_page(address: str, script: str = "") -> Visit:
        page = context.new_page()
        page.add_init_script(script)
        found = Visit(page)
        page.on("console", lambda message: found.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: found.messages.append(f"error: {error}"))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(address)
        page.wait_for_selector("body[data-ready]", state="attached")
        return found

    yield open_page
    context.close()


@pytest.fixture(scope="session")
def run() -> Run:
    """Its hypotheses, logs, reasons and code are markup."""
    return Run(200, hostile=HOSTILE)


@pytest.fixture(scope="session")
def report(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page") / "report.html", run)


@pytest.fixture(scope="session")
def _tab(visit: Open, report: Path) -> Visit:
    found = visit(f"{report.as_uri()}#{NAMED}")
    found.opened = found.dialog.locator("h2").inner_text()
    return found


@pytest.fixture
def tab(_tab: Visit) -> Visit:
    """The page of that run, as it was when it was opened."""
    _tab.page.keyboard.press("Escape")
    _tab.page.evaluate(AFRESH)
    return _tab


AFRESH = """() => {
  history.replaceState(null, "", location.pathname);
  for (const slider of document.querySelectorAll("#generation")) {
    slider.value = slider.max;
    slider.dispatchEvent(new Event("input"));
  }
}"""


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    with Server(directory, 0) as found:
        thread = threading.Thread(target=lambda: found.serve_forever(0.02))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def write_page(path: Path, run: Run) -> Path:
    path.write_text(page_of(Path("runs/made-up"), history_of(run.events(), run.objectives)), encoding="utf-8")
    return path
