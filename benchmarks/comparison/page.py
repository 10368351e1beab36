"""The comparison as one HTML page: tables and plots are in it, no script, no address, light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2

from benchmarks.comparison.plots import Plot
from benchmarks.comparison.tables import Table
from evolve.journal import plain

TEMPLATE = Path(__file__).with_name("page.html")
OVERALL = "All tasks"
FIRST = "Primary tests"
COLOURS = 96

Figure = tuple[str, str, str, str]  # title, light and dark image, words


@dataclass(frozen=True)
class _Section:
    title: str
    figures: list[Figure]
    tables: list[Table]


def page_of(
    heading: str, about: str, warnings: Sequence[str], tables: Sequence[Table], plots: Sequence[tuple[Plot, Plot]]
) -> str:
    """`plots` in pairs: light and dark. The style sheet is that of the page of a run."""
    tests = [table for table in tables if table.name == "tests"]
    sections = [_Section(FIRST, [], tests)] if tests else []
    for task in dict.fromkeys([*(t.task for t in tables if t.task), ""]):
        figures = [_figure(light, dark) for light, dark in plots if light.task == task]
        parts = [table for table in tables if table.task == task and table not in tests]
        if figures or parts:
            sections.append(_Section(task or OVERALL, figures, parts))
    style = (files("evolve.page") / "static" / "page.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(heading=heading, about=about, warnings=warnings, sections=sections, style=style)
    return plain(text)


def _figure(light: Plot, dark: Plot) -> Figure:
    return light.title[0].upper() + light.title[1:], _data(light.path), _data(dark.path), light.words


def _data(path: Path) -> str:
    """An image in an address, with so few colours that a page of many stays small."""
    from PIL import Image  # comes with matplotlib

    packed = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()
