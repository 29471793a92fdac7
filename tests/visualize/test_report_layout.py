"""The look of the report in a headless Chromium: themes, widths, print, accessibility, and hostile names."""

import pytest
from browser import Page, browser_program
from report_pages import count, text

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not browser_program(), reason="no Chromium here (LBA_BROWSER names one)"),
]


def test_the_theme_follows_the_system_and_the_switch(page):
    paper = "getComputedStyle(document.body).backgroundColor"
    page.media(prefers_color_scheme="light")
    light = page.run(paper)
    page.media(prefers_color_scheme="dark")
    dark = page.run(paper)
    assert light != dark
    page.choose("#theme", "light")
    assert page.run(paper) == light
    page.media(prefers_color_scheme="light")
    page.choose("#theme", "dark")
    assert page.run(paper) == dark


# The elements that reach beyond their section, tile or pair, except in regions that scroll.
BEYOND = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.cells') && e.getClientRects().length
 && !(e.closest('.wide, .list') && !e.closest('figcaption')))
 .filter(e => e.getBoundingClientRect().right > (e.parentElement.closest('.tile, .pairs li') || e.closest('section')).getBoundingClientRect().right + 1.5)
 .map(e => e.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("width", [380, 700, 1280])
def test_nothing_is_cut_off_in_a_window_of_any_width(page, width):
    page.resize(width, 700)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(BEYOND) == []
    tops = page.run("[...document.querySelectorAll('.viewer figure')].map(f => f.getBoundingClientRect().top)")
    assert len(set(tops)) == 1, "the images that react to the pointer are not beside it"


def test_long_lists_are_printed_completely(changed, tmp_path):
    def change(data):
        for each in data["lists"]["lists"]:
            each["found"] *= 6

    with Page(browser_program(), tmp_path / "profile") as page:
        page.open(changed(change))
        page.call("Emulation.setEmulatedMedia", media="print")
        page.resize(718, 1000)
        rights = "[...document.querySelectorAll('.list > *')].map(e => e.getBoundingClientRect().right)"
        assert count(page, "#lists .list:first-child > *") == 31
        assert max(page.run(rights)) < 718


def test_it_prints_the_chosen_state_and_cuts_nothing_off(page, tmp_path):
    page.call("Emulation.setEmulatedMedia", media="print")
    page.resize(718, 1000)  # the width of A4 within its margins
    assert page.run(BEYOND) == []
    last = "[...document.querySelectorAll('.list > :last-child')].map(e => e.getBoundingClientRect().right)"
    assert max(page.run(last)) < 718
    shown = "[...document.querySelectorAll('#masks fieldset label')].filter(e => e.getClientRects().length).map(e => e.textContent.trim())"
    assert page.run(shown) == ["layer3"]
    assert page.run("document.querySelector('#masks canvas.scale').getClientRects().length") == 1
    assert page.run("document.querySelector('.top').getClientRects().length") == 0
    page.print_to(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_few_settings_share_a_chart_and_many_lines_all_differ(changed, tmp_path):
    """Each line has a combination of colour and dashes of its own, even if there are more lines than colours."""

    def change(data):
        some = [each for each in data["cmc"] if each["variant"] == "plain"]
        data["cmc"] = some
        data["curves"]["losses"] = [{"name": f"loss {n}", "points": [[0, n], [1, n]]} for n in range(20)]

    with Page(browser_program(), tmp_path / "profile") as page:
        page.open(changed(change))
        assert count(page, "#cmc svg[role=img]") == 1
        assert count(page, "#cmc path.plot") == 4
        kinds = page.run(
            "[...document.querySelectorAll('#curves .chart:first-child path.plot')]"
            ".map(e => e.getAttribute('class') + e.getAttribute('stroke-dasharray'))"
        )
        assert len(kinds) == len(set(kinds)) == 20


def test_the_page_says_what_is_missing(changed, tmp_path):
    def change(data):
        data["curves"] = {"losses": [], "learning_rate": [], "figures": []}
        data["confusions"] = []
        data["summary"].update(synthetic=False, inflation_note="scored on people that the model was trained on")
        data["map"].update(tsne=None, note="t-SNE needs at least 8 images")
        for image in data["images"]:
            image["camera"] = None

    with Page(browser_program(), tmp_path / "profile") as page:
        page.open(changed(change))
        assert text(page, "#summary .note").startswith(
            "Mind this before you compare the figures with others: scored on people"
        )
        assert "no numbers" in text(page, "#curves .note")
        assert "No query ranks a different person first" in text(page, "#confusions p")
        assert "Only PCA is shown" in text(page, "#map .note")
        assert count(page, "#map fieldset") == 1
        assert count(page, "#lists .controls label select") == 2, "there must be no filter by unknown cameras"
        assert page.run("[...document.querySelectorAll('[aria-label]')].every(e => !e.ariaLabel.includes(', ,'))")
        page.run("document.querySelector('#lists-rows').scrollIntoView()")
        page.choose(
            "#lists .controls label:nth-of-type(2) select",
            page.run("document.querySelectorAll('#lists select')[1].options[1].value"),
        )
        page.click("#lists input[value=right]")
        assert text(page, "#lists .count") in (
            "No list matches this choice.",
            f"Showing {count(page, '#lists .list')} of {count(page, '#lists .list')} lists.",
        )
        assert page.console == []


HOSTILE = (
    '</script><script>window.hit = 1</script><img src=x onerror="window.hit = 1">\'"\u2028 ж 人 \u202e\udcff&lt;.jpg'
)


def test_hostile_names_are_shown_as_they_are(changed, tmp_path):
    def change(data):
        for image in data["images"]:
            image["path"] = HOSTILE
        data["images"][0]["camera"] = 0
        data["summary"].update(model=HOSTILE, dataset=HOSTILE, title=HOSTILE, notes=[HOSTILE])
        data["summary"]["facts"] = [[HOSTILE, HOSTILE]]
        data["summary"]["config"] = [[HOSTILE, HOSTILE]]
        for each in data["cmc"]:
            each["setting"] = HOSTILE

    path = changed(change)
    with Page(browser_program(), tmp_path / "profile") as page:
        page.open(path)
        shown = HOSTILE.replace("\udcff", "\ufffd")
        assert page.run("document.querySelector('h1').textContent.toWellFormed()") == shown
        assert page.run("document.querySelector('#lists img').title.toWellFormed()") == shown
        assert page.run("document.title.startsWith('</script><script>')")
        assert page.run("window.hit === undefined")
        assert count(page, "script") == 2
        assert page.run("[...document.images].every(i => i.src.startsWith('data:'))")
        assert page.console == []
        assert [url for url in page.requests if not url.startswith("data:")] == [path.as_uri()[:120]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page, axe, theme):
    page.media(prefers_color_scheme=theme)
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.run(f"{axe};0")
    faults = page.run(
        "axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => [v.id, v.nodes.length, v.nodes[0].html, v.nodes[0].failureSummary]))"
    )
    assert faults == []
