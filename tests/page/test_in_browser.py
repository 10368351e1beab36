"""The page in a real browser: what a person does with it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from evolve.model import Objective
from evolve.page.html import LIMIT, page_of
from tests.page.conftest import Open, Visit, write_page
from tests.page.synthetic import HOSTILE, OBJECTIVES, Run, failed_seed, history_of

FRONT = "section:has(#front) tbody a"  # the ids in the table of the front


def errors(found: Visit) -> list[str]:
    return [message for message in found.messages if message.startswith(("error", "warning"))]


def test_it_opens_without_a_network_and_without_a_complaint(thousand: Visit, page_of_thousand: Path) -> None:
    assert [url for url in thousand.requests if not url.startswith("data:")] == [page_of_thousand.as_uri()]
    assert errors(thousand) == []
    assert thousand.page.locator(".plot .bk-Figure").count() == 5
    assert page_of_thousand.stat().st_size < LIMIT


def test_pointing_at_a_mark_shows_its_numbers_and_a_click_opens_it(thousand: Visit) -> None:
    x, y, _ = thousand.mark("infeasible")
    thousand.page.mouse.move(x, y)
    tooltip = thousand.page.locator(".bk-tooltip-content").first
    tooltip.wait_for()
    told = tooltip.inner_text()
    assert "infeasible, generation" in told and "seconds to target –" in told and "tokens/s" in told
    thousand.page.mouse.click(x, y)
    thousand.dialog.wait_for()
    opened = thousand.page.url.partition("#")[2]
    assert f"{opened} infeasible" in told and f"Individual {opened}" in thousand.dialog.inner_text()
    assert "above the seed's loss by" in thousand.dialog.inner_text()


def test_an_individual_opens_from_the_table_by_keyboard_and_has_an_address(thousand: Visit) -> None:
    link = thousand.page.locator(FRONT).first
    name = link.inner_text()
    link.focus()
    thousand.page.keyboard.press("Enter")
    thousand.dialog.wait_for()
    assert thousand.page.url.endswith(f"#{name}")
    said = thousand.dialog.inner_text()
    assert f"Individual {name} front" in " ".join(said.split())
    parts = "Numbers", "Knobs that differ", "Rungs", "Probes", "End of the log", "Difference from", "Take it home"
    assert [part for part in parts if part not in said] == []
    assert f"python -m evolve export {name} -o train.py --run-dir runs/made-up" in said
    thousand.page.keyboard.press("Escape")
    thousand.dialog.wait_for(state="hidden")
    thousand.page.wait_for_function("() => !location.hash")


def test_everything_that_is_told_can_be_reached_by_keyboard(thousand: Visit) -> None:
    """The first thing is a way past the contents, and what has the focus shows it."""
    thousand.page.evaluate("() => document.activeElement.blur()")
    thousand.page.reload()
    thousand.page.wait_for_selector("body[data-ready]", state="attached")
    thousand.page.keyboard.press("Tab")
    here = "() => [document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]"
    assert thousand.page.evaluate(here) == ["Skip to the content", "solid"]
    thousand.page.keyboard.press("Enter")
    thousand.page.wait_for_function("() => document.activeElement.id === 'main'")
    thousand.page.keyboard.press("Tab")
    assert thousand.page.evaluate("() => document.activeElement.id") == "generation"


def test_the_slider_moves_by_keyboard_and_shows_the_front_of_a_generation(thousand: Visit) -> None:
    drawn = """() => ["front", "dominated", "infeasible"].map((k) => shown.plots.find("front-" + k).indices.length)"""
    before = thousand.page.evaluate(drawn)
    slider = thousand.page.locator("#generation")
    slider.focus()
    thousand.page.keyboard.press("Home")
    thousand.page.wait_for_function("() => document.getElementById('generation-said').textContent.startsWith('0 of')")
    assert thousand.page.evaluate(drawn)[1:] == [0, 0]
    for _ in range(3):
        thousand.page.keyboard.press("ArrowRight")
    thousand.page.wait_for_function("() => document.getElementById('generation-said').textContent.startsWith('3 of')")
    assert slider.input_value() == "3"
    early = thousand.page.evaluate(drawn)
    assert early[0] > 0 and 0 < sum(early) < sum(before)
    thousand.page.keyboard.press("End")
    last = f"{slider.get_attribute('max')} of"
    said = "(last) => document.getElementById('generation-said').textContent.startsWith(last)"
    thousand.page.wait_for_function(said, arg=last)
    assert thousand.page.evaluate(drawn) == before


def test_the_last_generation_of_the_slider_has_the_front_of_the_run(thousand: Visit) -> None:
    ids = """() => { const found = shown.plots.find("front-front").indices;
             return found.map((at) => shown.plots.find("front-source").data.id[at]); }"""
    table = [name for name in thousand.page.locator(FRONT).all_inner_texts() if name != "0"]
    assert sorted(thousand.page.evaluate(ids)) == sorted(table)


def test_the_list_is_narrowed_by_kind_and_words(thousand: Visit) -> None:
    thousand.page.locator("#list-kind").select_option("quarantined")
    assert thousand.page.locator("#list-body tr").count() == 2
    thousand.page.locator("#list-kind").select_option("")
    thousand.page.locator("#list-words").fill("rotary attempt 99")
    said = thousand.page.locator("#list-body td.words").all_inner_texts()
    assert said and all("rotary" in words or "RuntimeError" in words or "same as" in words for words in said)
    thousand.page.locator("#list-words").fill("")
    thousand.page.locator("#list-more").click()
    assert thousand.page.locator("#list-body tr").count() == 50


def test_the_lineage_leads_from_the_seed_to_the_front(thousand: Visit) -> None:
    graph = thousand.page.locator(".graph")
    front = thousand.page.locator(FRONT).all_inner_texts()
    nodes = graph.locator("a").evaluate_all("(all) => all.map((a) => a.getAttribute('href').slice(1))")
    assert {*front, "0"} <= set(nodes)
    graph.locator("a.seed").focus()
    thousand.page.keyboard.press("Enter")
    thousand.dialog.wait_for()
    assert "Individual 0" in thousand.dialog.inner_text()


def test_colours_follow_the_wish_for_a_dark_page(thousand: Visit) -> None:
    look = """() => [getComputedStyle(document.body).backgroundColor,
      [...Bokeh.documents[0]._all_models.values()].map((model) => model.axis_label_text_color).find(Boolean)]"""
    same = f"(wanted) => JSON.stringify(({look})()) === JSON.stringify(wanted)"
    thousand.page.emulate_media(color_scheme="dark")
    thousand.page.wait_for_function(same, arg=["rgb(20, 22, 26)", "#a4abb6"])
    thousand.page.emulate_media(color_scheme="light")
    thousand.page.wait_for_function(same, arg=["rgb(251, 251, 249)", "#5b616b"])


def test_nothing_is_wider_than_a_phone(thousand: Visit) -> None:
    thousand.page.evaluate("() => { location.hash = 'best'; }")
    thousand.dialog.wait_for()
    thousand.page.set_viewport_size({"width": 360, "height": 740})
    parts = "[document.documentElement, document.getElementById('individual')]"
    thousand.page.wait_for_function(f"() => {parts}.every((part) => part.scrollWidth <= 360)")
    thousand.page.set_viewport_size({"width": 1200, "height": 900})


def test_an_address_with_an_id_opens_it(visit: Open, page_of_thousand: Path) -> None:
    found = visit(f"{page_of_thousand.as_uri()}#897")
    assert found.dialog.locator("h2").inner_text().startswith("Individual 897")


def test_every_individual_opens(hostile: Visit, hostile_run: Run) -> None:
    """Also one without a fitness, a refused one without a program, a repeat, and one in quarantine."""
    opened = hostile.page.evaluate(
        """(ids) => ids.map((id) => { location.hash = id; dispatchEvent(new Event("hashchange"));
             return document.getElementById("individual").innerText; })""",
        [c.id for c in hostile_run.told],
    )
    pairs = list(zip(hostile_run.told, opened, strict=True))
    assert [c.id for c, said in pairs if f"Individual {c.id}" not in said] == []
    assert [c.id for c, said in pairs if c.hypothesis and c.hypothesis not in said] == []
    assert errors(hostile) == []
    hostile.page.keyboard.press("Escape")


def test_the_difference_of_two_individuals_is_that_of_their_programs(hostile: Visit, hostile_run: Run) -> None:
    measured = [c for c in hostile_run.told if c.verdict == "ok"]
    a, b = measured[20], measured[-1]
    hostile.page.locator("#compare input[name=a]").fill(a.id)
    hostile.page.locator("#compare input[name=b]").fill(b.id)
    hostile.page.keyboard.press("Enter")
    table = hostile.page.locator("#difference table.difference")
    table.wait_for()
    table.evaluate("(table) => table.querySelectorAll('.fold button').forEach((button) => button.click())")
    rows = table.locator("tr").evaluate_all(
        "(rows) => rows.map((r) => [r.className, r.querySelector('.text').textContent])"
    )
    assert [text for kind, text in rows if kind != "new"] == a.genome.source.split("\n")
    assert [text for kind, text in rows if kind != "old"] == b.genome.source.split("\n")
    assert {kind for kind, _ in rows} == {"new", "old", "same"}
    assert hostile.page.url.endswith(f"#diff={a.id}..{b.id}")


def test_a_comparison_with_nobody_says_so(hostile: Visit) -> None:
    hostile.page.evaluate("() => { location.hash = 'diff=seed..nobody'; }")
    alert = hostile.page.locator("#difference [role=alert]")
    alert.wait_for()
    assert "no individual “nobody”" in alert.inner_text()


def test_what_programs_and_models_say_is_text(hostile: Visit, hostile_run: Run) -> None:
    """In the tooltip, the individual with its log, the list, the failures and the difference."""
    x, y, name = hostile.mark("front")
    hostile.page.mouse.move(x, y)
    tooltip = hostile.page.locator(".bk-tooltip-content").first
    tooltip.wait_for()
    assert HOSTILE in tooltip.inner_text()
    failed = next(c for c in hostile_run.told if c.verdict == "failed")
    hostile.page.evaluate("(id) => { location.hash = id; }", failed.id)
    hostile.dialog.wait_for()
    assert hostile.dialog.locator("pre", has_text=HOSTILE).count() > 0
    hostile.page.keyboard.press("Escape")
    other = next(c for c in reversed(hostile_run.told) if HOSTILE in c.genome.source)
    hostile.page.evaluate("(id) => { location.hash = 'diff=seed..' + id; }", other.id)
    hostile.page.locator("#difference tr.new", has_text=HOSTILE).first.wait_for()
    assert hostile.page.locator("img").count() == 0
    assert "owned" not in hostile.page.title()
    assert errors(hostile) == []


def test_a_run_without_a_measured_seed_has_a_page(visit: Open, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    begun = [row for row, _ in zip(Run(2).events(), range(3), strict=False)]
    for rows, said in ((begun, "Nothing is measured yet"), (list(failed_seed()), "The seed program has no score")):
        path.write_text(page_of(tmp_path, history_of(iter(rows))), encoding="utf-8")
        found = visit(path.as_uri())
        assert said in found.page.locator("h1").inner_text()
        assert "there is no front" in found.page.locator("#main").inner_text()
        assert errors(found) == []


@pytest.mark.parametrize("second", [(), (Objective("tokens_per_second", "maximize"),)], ids=["one", "faster"])
def test_a_run_with_other_objectives_has_a_front(visit: Open, tmp_path: Path, second: tuple[Objective, ...]) -> None:
    found = visit(write_page(tmp_path / "report.html", Run(80, (OBJECTIVES[0], *second))).as_uri())
    members, line = found.page.evaluate(
        "() => [shown.plots.find('front-front').indices.length, shown.plots.find('front-line').data.x.length]"
    )
    assert members >= 1
    assert line == (2 * members - 1 if second else 0)
    assert errors(found) == []


@pytest.mark.slow
def test_five_thousand_individuals_stay_below_two_megabytes_and_open_soon(visit: Open, tmp_path: Path) -> None:
    path = write_page(tmp_path / "report.html", Run(5000))
    begun = time.monotonic()
    found = visit(path.as_uri())
    took = time.monotonic() - begun
    print(f"5,000 individuals: {path.stat().st_size:,} bytes, open after {took:.2f} s")
    assert path.stat().st_size < LIMIT
    assert took < 15, "below 3 s on an idle machine"
    x, y, _ = found.mark("front")
    found.page.mouse.click(x, y)
    found.dialog.wait_for()
    found.page.keyboard.press("Escape")
    slider = found.page.locator("#generation")
    slider.focus()
    found.page.keyboard.press("PageDown")
    assert slider.input_value() != slider.get_attribute("max")
    assert errors(found) == []


def test_a_browser_that_is_too_old_is_told_so(chromium: Any, page_of_thousand: Path) -> None:
    page = chromium.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(page_of_thousand.as_uri())
    assert "try a newer one" in page.get_by_role("alert").inner_text()
    page.close()
