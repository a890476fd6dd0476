"""The report in a real browser, opened from disk: clicks and keys do what they should, and nothing is asked for."""

import io
import shutil
from dataclasses import replace
from itertools import pairwise

import pytest
from PIL import Image

import fake_run
import fake_training
import hostile_run
from rarl.files import write_json
from rarl.reporting import write_report
from rarl.types import Verdict

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Right were 0 to 9 before and 5 to 19 after; the judge finds 3, 4 and 5 right. Question 7 is about a sella."""
    folder = fake_run.make(tmp_path_factory.mktemp("browser") / "run", evaluated=False)
    for stage, right in (("before", range(10)), ("", range(5, 20))):
        records = [fake_run.record(i, i in right, reasoning=f"Reason {i} & so on.") for i in range(20)]
        records[7] = replace(records[7], reasoning="An empty SELLA turcica.")
        for i in (3, 4, 5):
            verdict = Verdict(1.0, "correctness", "I am pleased.", "org/Judge", "correctness-1 sha256:0")
            records[i] = replace(records[i], verdicts={"correctness": verdict} if not stage else {})
        fake_run.evaluation(folder, stage, records)
    [place] = folder.path.glob("eval/mine*")
    write_json(place / "judge.json", {"kind": "openai", "base_url": "http://localhost:1/v1", "model": "org/Judge"})
    fake_training.rollouts(folder, steps=3)
    fake_training.timings(folder, steps=3)
    fake_training.probe(folder, paid=1)
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return write_report(folder.path)


@pytest.fixture
def visit(browser):
    """Opens a page; at the end nothing may have been asked for, complained about, or run by somebody else's text."""
    seen, contexts = [], []

    def opened(path, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        page = context.new_page()
        page.on("console", lambda message: seen.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.on("dialog", lambda dialog: seen.append(f"dialog: {dialog.message}"))
        own = path.as_uri()
        page.on("request", lambda request: seen.append(request.url) if not _at_home(request.url, own) else None)
        contexts.append((context, page))
        page.goto(own)
        return page

    yield opened
    for context, page in contexts:
        assert page.evaluate("typeof window.hacked") == "undefined"
        context.close()
    assert seen == []


def _at_home(url, own):
    return url.partition("#")[0] == own or url.startswith("data:")


@pytest.fixture
def page(visit, report):
    return visit(report)


def shown(page):
    return page.locator("#cards > .example:visible")


def count(page):
    return page.inner_text("#count")


@pytest.mark.parametrize(
    ("name", "number"),
    [("all", 22), ("wrong", 5), ("improved", 10), ("worse", 5), ("right", 5), ("disagree", 2), ("training", 2)],
)
def test_filters_show_what_they_say(page, name, number):
    page.click(f"label[for=filter-{name}]")
    assert count(page).startswith(f"{number} examples")
    assert page.inner_text(f"label[for=filter-{name}] .count") == str(number)
    while page.is_visible("#more"):
        page.click("#more")
    assert shown(page).count() == number
    if name != "all":
        tags = shown(page).evaluate_all("cards => cards.map(card => card.dataset.tags.split(' '))")
        assert all(name in each for each in tags)


def test_the_number_of_results_is_told_to_those_who_do_not_see_it(page):
    assert page.get_attribute("#count", "aria-live") == "polite"
    assert count(page) == "22 examples, the first 8 shown"


def test_search_looks_for_all_words_in_any_case_and_filters_hold(page):
    page.fill("#search", "sella EMPTY")
    assert count(page) == "1 example"
    assert shown(page).get_by_text("An empty SELLA turcica.").count() == 2  # before and after
    page.click("label[for=filter-improved]")
    assert count(page) == "0 examples"
    assert page.is_visible("#none")
    page.fill("#search", "reason 1 &")
    assert count(page).startswith("10 examples")  # 10 to 19 improved
    page.fill("#search", "")
    page.click("label[for=filter-all]")
    assert count(page).startswith("22 examples")


def test_search_takes_signs_as_they_are(page):
    for text, number in (("<b>3</b>", 1), (".*", 0), ("pleased", 3)):
        page.fill("#search", text)
        assert count(page) == f"{number} example{'' if number == 1 else 's'}"


def test_a_part_of_the_report_can_be_chosen(page):
    page.select_option("#source", "training")
    assert count(page) == "2 examples"
    assert shown(page).first.get_by_text("advantage").first.is_visible()


def test_everything_can_be_done_with_the_keyboard(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#filter-all")
    page.keyboard.press("ArrowRight")  # a group of radio buttons
    assert page.is_checked("#filter-wrong")
    assert count(page) == "5 examples"
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert shown(page).nth(1).evaluate("card => card === document.activeElement")
    page.keyboard.press("k")
    assert shown(page).nth(0).evaluate("card => card === document.activeElement")
    page.keyboard.press("/")
    page.keyboard.type("jk/")  # typed, not obeyed
    assert page.input_value("#search") == "jk/"
    assert page.evaluate("document.activeElement.id") == "search"


def test_more_examples_come_with_a_button_that_hands_on_the_focus(page):
    page.focus("#more")
    page.keyboard.press("Enter")
    assert count(page) == "22 examples, the first 16 shown"
    assert shown(page).nth(8).evaluate("card => card === document.activeElement")


def test_keys_outside_the_examples_do_nothing(page):
    page.focus("#theme")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "theme"


@pytest.mark.parametrize(("scheme", "dark"), [("dark", True), ("light", False)])
def test_it_is_dark_where_the_system_is_and_can_be_told_otherwise(visit, report, scheme, dark):
    page = visit(report, color_scheme=scheme)
    paper = "getComputedStyle(document.body).backgroundColor"
    luminance = lambda: sum(map(int, page.evaluate(paper)[4:-1].split(",")))  # noqa: E731
    assert (luminance() < 200) is dark
    seen = []
    for _ in range(3):
        page.click("#theme")
        seen.append((page.inner_text("#theme"), luminance() < 200))
    assert seen == [("Theme: light", False), ("Theme: dark", True), ("Theme: auto", dark)]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_stands_out_from_what_is_behind_it(visit, report, scheme):
    """WCAG's contrast of at least 4.5 for every text colour of the page on both of its grounds."""
    page = visit(report, color_scheme=scheme)
    contrasts = page.evaluate(CONTRAST)
    assert min(contrasts.values()) >= 4.5, contrasts


CONTRAST = """() => {
  const probe = document.body.appendChild(document.createElement("i"));
  const luminance = (name) => {
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255);
    const [r, g, b] = parts.map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = {};
  for (const text of ["ink", "muted", "accent", "good", "bad", "warn"])
    for (const ground of ["paper", "card"]) {
      const [high, low] = [luminance(text), luminance(ground)].sort((a, b) => b - a);
      found[`${text} on ${ground}`] = (high + 0.05) / (low + 0.05);
    }
  probe.remove();
  return found;
}"""


def test_on_paper_it_is_light_and_without_controls(visit, report):
    page = visit(report, color_scheme="dark", viewport={"width": 718, "height": 1000})  # A4 without its margins
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("nav.bar", "#browser", "#more"):
        assert not page.is_visible(hidden)
    for there in ("h1", "table.headline", "svg.chart >> nth=0", "#provenance"):
        assert page.is_visible(there)
    wide = "all => all.filter(each => each.scrollWidth > each.parentElement.clientWidth).map(each => each.innerText)"
    assert page.locator("table:visible").evaluate_all(wide) == []  # paper can't be scrolled
    assert page.pdf(format="A4").startswith(b"%PDF")


WIDTHS = (320, 360, 400, 450, 500, 550, 600, 700, 768, 900, 1024, 1280)
LONG = "qwen2-vl-2b-instruct_grpo_diversity-prompting-seed-100"


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    """Two runs of which everything that has a name has a long one, in one report."""
    home = tmp_path_factory.mktemp("long") / LONG
    folders = [fake_run.make(home / f"{LONG}{letter}", evaluated=False) for letter in "ab"]
    for folder in folders:
        fake_training.rollouts(folder, steps=3)
        fake_run.evaluation(folder, "", [replace(fake_run.record(i, True), task=LONG * 2) for i in range(4)], LONG)
        (folder.path / "config.toml").write_text(folder.config.override([f"model.base={LONG * 2}"]).to_toml())
    return write_report([folder.path for folder in folders], home / "all.html")


@pytest.mark.parametrize("which", ["report", "long_names"])
def test_nothing_runs_out_of_the_page(visit, request, which):
    page = visit(request.getfixturevalue(which))
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        found[width] = page.evaluate("document.documentElement.scrollWidth")
    assert all(found[width] <= width for width in WIDTHS), found


def test_links_lead_to_sections_that_are_not_hidden_under_the_bar(page):
    page.click("nav.bar a[href='#learning']")
    page.wait_for_selector("nav.bar a[href='#learning'][aria-current]")
    bar = page.locator("nav.bar").bounding_box()
    assert page.locator("#learning-title").bounding_box()["y"] >= bar["height"]


def test_what_a_screen_reader_finds(page):
    levels = page.locator("h1:visible, h2:visible, h3:visible").evaluate_all(
        "all => all.map(each => Number(each.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for role, name in (("navigation", "Sections"), ("search", "Examples"), ("region", "What it took")):
        assert page.get_by_role(role, name=name).count() == 1
    assert page.get_by_role("radio", name="Judge and rules disagree").count() == 1
    assert page.get_by_role("img", name="Reward. mean: from 0.25 to 0.75").count() == 1
    assert page.locator("img:not([alt]), button:not(:has-text('')), svg:not([aria-hidden])").count() == 0


def test_without_scripts_all_of_it_can_be_read(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert shown(page).count() == 22
    assert not page.is_visible("#browser")
    assert not page.is_visible("#theme")
    context.close()


def test_an_evaluation_alone_has_only_filters_that_find_something(visit, folder, tmp_path):
    [place] = folder.path.glob("eval/mine*")
    page = visit(write_report(place, tmp_path / "evaluation.html"))
    assert page.locator("fieldset label").all_inner_texts() == [
        "All 20",
        "Wrong 5",
        "Right 15",
        "Judge and rules disagree 2",
    ]
    page.click("label[for=filter-right]")
    assert count(page).startswith("15 examples")


def test_without_images_there_are_none(visit, folder, tmp_path):
    page = visit(write_report(folder.path, tmp_path / "none.html", images=False))
    assert page.locator("img").count() == 0
    assert page.get_by_text("report.images = false").is_visible()


def test_images_are_shown_from_the_file_itself(page):
    assert page.locator("img").count() == 22
    assert page.locator("img:visible").first.evaluate("image => image.complete && image.naturalWidth") == 320


def test_hostile_text_is_shown_and_does_nothing(visit, tmp_path):
    page = visit(write_report(hostile_run.make(tmp_path / "run").path))
    page.hover("#cards > .example >> nth=0")
    page.fill("#search", hostile_run.ATTACKS[0])
    assert count(page).startswith("22 examples")
    page.fill("#search", "onmouseover=")
    page.select_option("#source", "training")
    assert count(page) == "2 examples"
    assert page.locator("script").count() == 1
    assert page.title() == "run: report of rarl"


def test_several_runs_differ_in_colour_and_dashes(visit, folder, tmp_path):
    others = [fake_run.make(tmp_path / name) for name in ("b", "c")]
    page = visit(write_report([folder.path, *(each.path for each in others)], tmp_path / "all.html"))
    figure = page.locator("figure", has_text="Reward").nth(0)
    looks = figure.locator("svg.chart .line").evaluate_all(
        "lines => lines.map(line => [getComputedStyle(line).stroke, getComputedStyle(line).strokeDasharray])"
    )
    assert len({stroke for stroke, _ in looks}) == len({dashes for _, dashes in looks}) == len(looks) == 3
    assert [each.split()[0] for each in figure.locator(".keys li").all_inner_texts()] == ["run", "b", "c"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_a_table_goes_on_beyond_its_edge_there_is_a_shadow(visit, report, scheme):
    page = visit(report, color_scheme=scheme, viewport={"width": 400, "height": 800})
    box = page.locator("#results .scroll").first

    def edges():
        """The colours 3 pixels from the left and right edge, in the free line below the table's last row."""
        shot = Image.open(io.BytesIO(box.screenshot())).convert("L")
        return [shot.getpixel((x, shot.height - 3)) for x in (3, shot.width - 4)]

    paper = Image.open(io.BytesIO(page.screenshot())).convert("L").getpixel((2, 400))
    left, right = edges()
    assert abs(left - paper) < 5 < 20 < abs(right - paper)
    box.evaluate("each => each.scrollLeft = each.scrollWidth")
    left, right = edges()
    assert abs(right - paper) < 5 < 20 < abs(left - paper)
    page.set_viewport_size({"width": 1280, "height": 800})
    shot = Image.open(io.BytesIO(box.screenshot())).convert("L")
    assert all(abs(shot.getpixel((x, shot.height - 3)) - paper) < 5 for x in range(shot.width)), "and no line elsewhere"
