"""The page in a real browser: what a person does with it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evolve.model import Candidate, Objective
from evolve.page.html import LIMIT, page_of
from evolve.store import Store
from tests.page.conftest import NAMED, Open, Visit, serving, write_page
from tests.page.synthetic import HOSTILE, OBJECTIVES, Run, failed_seed, history_of, session, write

FRONT = "section:has(#front) tbody a"  # the ids in the table of the front


def test_it_opens_without_a_network_and_without_a_complaint(tab: Visit, report: Path) -> None:
    assert {url.partition("#")[0] for url in tab.requests if not url.startswith("data:")} == {report.as_uri()}
    assert tab.errors == []
    assert tab.page.locator(".plot .bk-Figure").count() == 5
    assert report.stat().st_size < LIMIT


def test_pointing_at_a_mark_shows_its_numbers_and_a_click_opens_it(tab: Visit) -> None:
    x, y, _ = tab.mark("infeasible")
    tab.page.mouse.move(x, y)
    tooltip = tab.page.locator(".bk-tooltip-content").first
    tooltip.wait_for()
    told = tooltip.inner_text()
    assert "infeasible, generation" in told and "seconds to target –" in told and "tokens/s" in told
    tab.page.mouse.click(x, y)
    tab.dialog.wait_for()
    opened = tab.page.url.partition("#")[2]
    assert f"{opened} infeasible" in told and f"Individual {opened}" in tab.dialog.inner_text()
    assert "above the seed's loss by" in tab.dialog.inner_text()


def test_an_individual_opens_from_the_table_by_keyboard_and_has_an_address(tab: Visit) -> None:
    link = tab.page.locator(FRONT).first
    name = link.inner_text()
    link.focus()
    tab.page.keyboard.press("Enter")
    tab.dialog.wait_for()
    assert tab.page.url.endswith(f"#{name}")
    said = tab.dialog.inner_text()
    assert f"Individual {name} front" in " ".join(said.split())
    parts = "Numbers", "Knobs that differ", "Rungs", "Probes", "End of the log", "Difference from", "Take it home"
    assert [part for part in parts if part not in said] == []
    assert f"python -m evolve export {name} -o train.py --run-dir runs/made-up" in said
    tab.page.keyboard.press("Escape")
    tab.dialog.wait_for(state="hidden")
    tab.page.wait_for_function("() => !location.hash")


def test_everything_that_is_told_can_be_reached_by_keyboard(tab: Visit) -> None:
    """The first thing is a way past the contents, and what has the focus shows it."""
    tab.page.evaluate("() => document.activeElement.blur()")
    tab.page.reload()
    tab.page.wait_for_selector("body[data-ready]", state="attached")
    tab.page.keyboard.press("Tab")
    here = "() => [document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]"
    assert tab.page.evaluate(here) == ["Skip to the content", "solid"]
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_function("() => document.activeElement.id === 'main'")
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("() => document.activeElement.id") == "generation"


def test_the_slider_moves_by_keyboard_and_shows_the_front_of_a_generation(tab: Visit) -> None:
    drawn = """() => ["front", "dominated", "infeasible"].map((k) => shown.plots.find("front-" + k).indices.length)"""
    before = tab.page.evaluate(drawn)
    slider = tab.page.locator("#generation")
    slider.focus()
    tab.page.keyboard.press("Home")
    tab.page.wait_for_function("() => document.getElementById('generation-said').textContent.startsWith('0 of')")
    assert tab.page.evaluate(drawn)[1:] == [0, 0]
    assert str(slider.get_attribute("aria-valuetext")).startswith("0 of")
    for _ in range(3):
        tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function("() => document.getElementById('generation-said').textContent.startsWith('3 of')")
    assert slider.input_value() == "3"
    early = tab.page.evaluate(drawn)
    assert early[0] > 0 and 0 < sum(early) < sum(before)
    tab.page.keyboard.press("End")
    last = f"{slider.get_attribute('max')} of"
    said = "(last) => document.getElementById('generation-said').textContent.startsWith(last)"
    tab.page.wait_for_function(said, arg=last)
    assert tab.page.evaluate(drawn) == before


def test_the_last_generation_of_the_slider_has_the_front_of_the_run(tab: Visit) -> None:
    ids = """() => { const found = shown.plots.find("front-front").indices;
             return found.map((at) => shown.plots.find("front-source").data.id[at]); }"""
    table = [name for name in tab.page.locator(FRONT).all_inner_texts() if name != "0"]
    assert sorted(tab.page.evaluate(ids)) == sorted(table)


def test_the_list_is_narrowed_by_kind_and_words(tab: Visit) -> None:
    tab.page.locator("#list-kind").select_option("quarantined")
    assert tab.page.locator("#list-body tr").count() == 2
    tab.page.locator("#list-kind").select_option("")
    tab.page.locator("#list-words").fill("rotary attempt 9")
    said = tab.page.locator("#list-body td.words").all_inner_texts()
    assert said and all("rotary" in words or "RuntimeError" in words or "same as" in words for words in said)
    tab.page.locator("#list-words").fill("")
    tab.page.locator("#list-more").click()
    assert tab.page.locator("#list-body tr").count() == 50


def test_the_lineage_leads_from_the_seed_to_the_front(tab: Visit) -> None:
    graph = tab.page.locator(".graph")
    front = tab.page.locator(FRONT).all_inner_texts()
    nodes = graph.locator("a").evaluate_all("(all) => all.map((a) => a.getAttribute('href').slice(1))")
    assert {*front, "0"} <= set(nodes)
    graph.locator("a.seed").focus()
    tab.page.keyboard.press("Enter")
    tab.dialog.wait_for()
    assert "Individual 0" in tab.dialog.inner_text()


@pytest.mark.parametrize(
    ("scheme", "paper", "dim"), [("dark", "rgb(20, 22, 26)", "#a4abb6"), ("light", "rgb(251, 251, 249)", "#5b616b")]
)
def test_colours_follow_the_wish_for_a_dark_page_and_words_in_plots_can_be_read(
    tab: Visit, scheme: str, paper: str, dim: str
) -> None:
    """At least 4.5:1 on the paper, and on what is shaded (WCAG 2.2, 1.4.3)."""
    tab.page.emulate_media(color_scheme=scheme)
    look = """() => [getComputedStyle(document.body).backgroundColor,
      [...Bokeh.documents[0]._all_models.values()].map((model) => model.axis_label_text_color).find(Boolean)]"""
    same = f"(wanted) => JSON.stringify(({look})()) === JSON.stringify(wanted)"
    tab.page.wait_for_function(same, arg=[paper, dim])
    script = """() => [...Bokeh.documents.flatMap((d) => [...d._all_models.values()])
      .filter((model) => model.type === "Label" && model.text).map((model) => model.text_color),
      getComputedStyle(document.documentElement).getPropertyValue("--card").trim()]"""
    *words, card = tab.page.evaluate(script)
    assert len(words) >= 4
    shade = mixed("#E69F00", card, 0.25)
    assert [word for word in words if min(contrast(word, card), contrast(word, shade)) < 4.5] == []


def test_nothing_is_wider_than_a_phone(tab: Visit) -> None:
    tab.page.evaluate("() => { location.hash = 'best'; }")
    tab.dialog.wait_for()
    tab.page.set_viewport_size({"width": 360, "height": 740})
    parts = "[document.documentElement, document.getElementById('individual')]"
    tab.page.wait_for_function(f"() => {parts}.every((part) => part.scrollWidth <= 360)")
    tab.page.set_viewport_size({"width": 1200, "height": 900})


def test_an_address_with_an_id_opens_it(tab: Visit) -> None:
    assert tab.opened.startswith(f"Individual {NAMED}")


@pytest.mark.parametrize("place", ["%", "%E0%A4%A", "nothing", "diff"])
def test_an_address_that_names_nobody_does_no_harm(tab: Visit, place: str) -> None:
    tab.page.evaluate("(place) => { location.hash = place; dispatchEvent(new Event('hashchange')); }", place)
    assert tab.errors == [] and not tab.dialog.is_visible()


def test_an_individual_that_is_not_on_the_page_is_said_to_be_elsewhere(tab: Visit) -> None:
    tab.page.evaluate("() => { location.hash = '4711'; }")
    tab.dialog.get_by_text("python -m evolve show 4711").wait_for()


def test_individuals_of_every_kind_open(tab: Visit, run: Run) -> None:
    """Also one without a fitness, a refused one without a program, a repeat, and one in quarantine."""
    kinds: dict[tuple[str, bool, bool], list[Candidate]] = {}
    for candidate in run.told:
        kinds.setdefault((candidate.verdict, candidate.fitness is None, candidate.confirmed), []).append(candidate)
    some = [run.told[0], run.told[1], *(c for found in kinds.values() for c in found[:3])]
    opened = tab.page.evaluate(
        """(ids) => ids.map((id) => { location.hash = id; dispatchEvent(new Event("hashchange"));
             return document.getElementById("individual").innerText; })""",
        [c.id for c in some],
    )
    pairs = list(zip(some, opened, strict=True))
    assert [c.id for c, said in pairs if f"Individual {c.id}" not in said] == []
    assert [c.id for c, said in pairs if c.hypothesis and c.hypothesis not in said] == []
    assert {c.verdict for c in some} == {"ok", "pruned", "failed", "duplicate", "rejected"}
    assert tab.errors == []


def test_the_difference_of_two_individuals_is_that_of_their_programs(tab: Visit, run: Run) -> None:
    measured = [c for c in run.told if c.verdict == "ok"]
    a, b = measured[20], measured[-1]
    tab.page.locator("#compare input[name=a]").fill(a.id)
    tab.page.locator("#compare input[name=b]").fill(b.id)
    tab.page.keyboard.press("Enter")
    table = tab.page.locator("#difference table.difference")
    table.wait_for()
    table.evaluate("(table) => table.querySelectorAll('.fold button').forEach((button) => button.click())")
    rows = table.locator("tr").evaluate_all(
        "(rows) => rows.map((r) => [r.className, r.querySelector('.text').textContent])"
    )
    assert [text for kind, text in rows if kind != "new"] == a.genome.source.split("\n")
    assert [text for kind, text in rows if kind != "old"] == b.genome.source.split("\n")
    assert {kind for kind, _ in rows} == {"new", "old", "same"}
    assert tab.page.url.endswith(f"#diff={a.id}..{b.id}")


def test_a_comparison_with_nobody_says_so(tab: Visit) -> None:
    tab.page.evaluate("() => { location.hash = 'diff=seed..nobody'; }")
    alert = tab.page.locator("#difference [role=alert]")
    alert.wait_for()
    assert "no individual “nobody”" in alert.inner_text()


def test_what_programs_and_models_say_is_text(tab: Visit, run: Run) -> None:
    """In the tooltip, the individual with its log, the list, the failures and the difference."""
    x, y, name = tab.mark("front")
    tab.page.mouse.move(x, y)
    tooltip = tab.page.locator(".bk-tooltip-content").first
    tooltip.wait_for()
    assert HOSTILE in tooltip.inner_text()
    failed = next(c for c in run.told if c.verdict == "failed")
    tab.page.evaluate("(id) => { location.hash = id; }", failed.id)
    tab.dialog.wait_for()
    assert tab.dialog.locator("pre", has_text=HOSTILE).count() > 0
    tab.page.keyboard.press("Escape")
    other = next(c for c in reversed(run.told) if HOSTILE in c.genome.source)
    tab.page.evaluate("(id) => { location.hash = 'diff=seed..' + id; }", other.id)
    tab.page.locator("#difference tr.new", has_text=HOSTILE).first.wait_for()
    assert tab.page.locator("img").count() == 0
    assert "owned" not in tab.page.title()
    assert tab.errors == []


def test_a_run_without_a_measured_seed_has_a_page(visit: Open, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    begun = [row for row, _ in zip(Run(2).events(), range(3), strict=False)]
    for rows, said in ((begun, "Nothing is measured yet"), (list(failed_seed()), "The seed program has no score")):
        path.write_text(page_of(tmp_path, history_of(iter(rows))), encoding="utf-8")
        found = visit(path.as_uri())
        assert said in found.page.locator("h1").inner_text()
        assert "there is no front" in found.page.locator("#main").inner_text()
        found.page.evaluate("() => { location.hash = 'best'; }")
        found.dialog.get_by_text("There is no front yet").wait_for()
        assert found.errors == []


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_with_another_number_of_objectives_has_a_front(visit: Open, tmp_path: Path, count: int) -> None:
    objectives = (*OBJECTIVES, Objective("tokens_per_second", "maximize"))[:count]
    found = visit(write_page(tmp_path / "report.html", Run(80, objectives)).as_uri())
    members, line = found.page.evaluate(
        "() => [shown.plots.find('front-front').indices.length, shown.plots.find('front-line').data.y]"
    )
    assert members >= 1
    assert line == sorted(line, reverse=True), "the lower the loss, the longer it takes"
    if count == 3:
        assert len(line) < 2 * members - 1
        assert "The front is that of all 3 objectives" in found.page.locator("#main").inner_text()
    else:
        assert line == []
    assert found.errors == []


@pytest.mark.parametrize(
    ("directions", "points", "line"),
    [
        (["minimize"], [[1, 2], [2, 1]], []),
        (["minimize", "minimize"], [[3, 1], [1, 3]], [[1, 3], [3, 3], [3, 1]]),
        (["minimize", "maximize"], [[3, 3], [1, 1]], [[1, 1], [1, 3], [3, 3]]),
        (["minimize", "minimize"], [[1, 3], [2, 4], [2, 2], [3, 2], [2, 2]], [[1, 3], [2, 3], [2, 2], [2, 2], [2, 2]]),
    ],
)
def test_the_line_of_the_front_has_no_corner_that_another_dominates(
    tab: Visit, directions: list[str], points: list[list[int]], line: list[list[int]]
) -> None:
    bound = (
        "([directions, points]) => Plots.prototype.boundary.call({individuals: {data: {run: {directions}}}}, points)"
    )
    found = tab.page.evaluate(bound, [directions, points])
    assert [list(corner) for corner in zip(found["x"], found["y"], strict=True)] == line


TAB_STOPS = """() => {
  const below = (part) => (part.shadowRoot ? parts(part.shadowRoot) : []);
  const parts = (root) => [...root.querySelectorAll("*")].flatMap((part) => [part, ...below(part)]);
  return [...document.querySelectorAll(".plot")].flatMap((plot) => [plot, ...parts(plot)])
    .filter((part) => part.tabIndex >= 0 || part.role === "img" || part.matches(".plot"))
    .map((part) => [part.role, part.ariaLabel]);
}"""


@pytest.mark.slow
def test_every_tab_stop_of_a_plot_has_a_role_and_a_name(tab: Visit) -> None:
    for width in (360, 1200):  # in a narrow one the tools are elsewhere
        tab.page.set_viewport_size({"width": width, "height": 900})
        tab.page.wait_for_timeout(100)
        stops = tab.page.evaluate(TAB_STOPS)
        assert [stop for stop in stops if not all(stop)] == []
        kinds = Counter(role for role, _ in stops)
        assert kinds["group"] == kinds["img"] == 5 and kinds["button"] >= 5


def channels(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def mixed(a: str, b: str, share: float) -> str:
    both = zip(channels(a), channels(b), strict=True)
    return "#" + "".join(f"{round(255 * (x * share + y * (1 - share))):02x}" for x, y in both)


def contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted(map(luminance, (a, b)))
    return (high + 0.05) / (low + 0.05)


def longest_common(a: str, b: str) -> int:
    best = [0] * (len(b) + 1)
    for x in a:
        row = [0]
        for j, y in enumerate(b):
            row.append(best[j] + 1 if x == y else max(best[j + 1], row[j]))
        best = row
    return best[-1]


def test_the_difference_is_the_smallest_there_is(tab: Visit) -> None:
    words = ["", "a", "ab", "abc", "bca", "aabbcc", "cabcab", "xyz", "abxcd", "axbcxd", "aaaa", "aaxaa", "dcba"]
    pairs = [(a, b) for a in words for b in words]
    script = "(pairs) => pairs.map(([a, b]) => difference([...a], [...b]))"
    rows: list[list[list[Any]]] = tab.page.evaluate(script, pairs)
    for (a, b), difference in zip(pairs, rows, strict=True):
        assert "".join(a[old] for _, old, _ in difference if old is not None) == a
        assert "".join(b[new] for _, _, new in difference if new is not None) == b
        assert all(a[old] == b[new] for kind, old, new in difference if kind == "same")
        assert sum(kind == "same" for kind, _, _ in difference) == longest_common(a, b)


SOONER = "{ const real = setInterval; window.setInterval = (what, when) => real(what, when / 10); }"


@pytest.mark.slow
def test_a_served_page_that_is_open_offers_to_reload(visit: Open, tmp_path: Path) -> None:
    directory = write(tmp_path / "run", Run(12).events())
    with serving(directory) as server:
        found = visit(server.url + "#1", SOONER)
        assert found.page.locator("#news").is_hidden()
        store = Store.open(directory, durable=False)
        store.append("session", "session/2", session())
        store.close()
        found.page.locator("#news").wait_for()
        found.page.locator("#individual-close").click()
        with found.page.expect_navigation():
            found.page.locator("#news-reload").click()
        found.page.wait_for_selector("body[data-ready]", state="attached")
        assert found.page.locator("#news").is_hidden()
        assert found.errors == []
        found.page.close()


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
    assert found.errors == []


def test_a_browser_that_is_too_old_is_told_so(chromium: Any, report: Path) -> None:
    page = chromium.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(report.as_uri())
    assert "try a newer one" in page.get_by_role("alert").inner_text()
    page.close()
