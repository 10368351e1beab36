"""The page of a benchmark in a real browser: both themes, wide and narrow, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison.report import report
from tests.benchmarks.made_up import Problem, search
from tests.page.conftest import Open, Visit

DRAWN = "() => [...document.images].every((image) => image.complete && image.naturalWidth > 500)"

CHOSEN = """(theme) => [...document.querySelectorAll("picture")].every((picture) => {
  const image = picture.querySelector("img");
  return image.currentSrc === (theme === "dark" ? picture.querySelector("source").srcset : image.src);
})"""


@pytest.fixture(scope="module")
def opened(visit: Open, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out: Path = tmp_path_factory.mktemp("benchmark")
    runs = [search(method, level, s) for method, level in (("ours", 2.4), ("tpe", 2.6)) for s in range(3)]
    report(runs, [Problem()], out)
    found = visit((out / "report.html").as_uri())
    yield found
    found.page.close()


def test_it_opens_without_a_network_and_without_a_complaint(opened: Visit) -> None:
    assert [url for url in opened.requests if not url.startswith(("data:", "file:"))] == []
    assert opened.errors == []
    opened.page.wait_for_function(DRAWN)
    assert opened.page.locator("figure img").count() == 6


def test_its_plots_follow_the_theme_and_it_fits_a_phone(opened: Visit) -> None:
    corner = """() => {
      const [image, canvas] = [document.images[0], document.createElement("canvas")];
      canvas.getContext("2d").drawImage(image, 0, 0);
      return canvas.getContext("2d").getImageData(1, 1, 1, 1).data[0];
    }"""
    shades = {}
    for theme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=theme)
        opened.page.wait_for_function(CHOSEN, arg=theme)
        opened.page.wait_for_function(DRAWN)
        shades[theme] = opened.page.evaluate(corner)
    assert shades["light"] > 200 and shades["dark"] < 60
    opened.page.set_viewport_size({"width": 390, "height": 844})
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") == 390
