"""The report in a headless Chromium, opened from a file: its texts, and its reactions to pointer and keyboard."""

import pytest
from browser import Page, browser_program
from report_pages import count, text

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not browser_program(), reason="no Chromium here (LBA_BROWSER names one)"),
]


def drawn(page, number):
    """The content of one of the canvases over the visible images."""
    return page.run(f"document.querySelectorAll('#matching .viewer canvas')[{number}].toDataURL()")


def test_every_section_is_there_and_every_image_is_shown(page):
    assert page.run("[...document.querySelectorAll('main > section')].map(s => s.id)") == [
        *("summary", "curves", "cmc", "lists", "matching", "masks", "map", "distances", "roc", "confusions")
    ]
    assert count(page, "nav a") == 10
    assert page.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert text(page, "h1") == "<b>run</b>"
    assert "synthetic" in text(page, "#summary .note")
    assert count(page, "#summary table:first-of-type tbody tr") >= 4
    assert count(page, "#cmc svg[role=img]") == 4
    assert count(page, "#cmc path.plot") == 8
    assert count(page, "#curves svg[role=img]") == 3
    assert count(page, "#roc path.plot") == 1


def test_lists_are_filtered_and_ordered(page):
    def lists():
        return page.run(
            "[...document.querySelectorAll('#lists .list')].map(l => ({ap: +l.textContent.match(/AP ([0-9.]+)/)[1],"
            "camera: l.textContent.match(/camera ([0-9])/)[1], identity: l.textContent.match(/query ([0-9]+)/)[1],"
            "right: l.querySelectorAll('.right').length, wrong: l.querySelectorAll('.wrong').length}))"
        )

    assert len(lists()) == 12
    assert [each["ap"] for each in lists()] == sorted(each["ap"] for each in lists())
    assert text(page, "#lists .count") == "Showing 12 of 30 lists."
    page.click("#lists .more")
    assert len(lists()) == 24
    page.choose("#lists .controls label:nth-of-type(1) select", "easiest")
    assert [each["ap"] for each in lists()] == sorted((each["ap"] for each in lists()), reverse=True)
    page.choose("#lists .controls label:nth-of-type(2) select", "6")
    assert {each["camera"] for each in lists()} == {"6"}
    wanted = lists()[0]["identity"]
    page.choose("#lists .controls label:nth-of-type(3) select", str(int(wanted)))
    assert {each["identity"] for each in lists()} == {wanted}
    page.choose("#lists .controls label:nth-of-type(2) select", "")
    page.choose("#lists .controls label:nth-of-type(3) select", "")
    sizes = []
    for outcome in ("right", "mixed", "wrong"):
        page.click(f"#lists input[value={outcome}]")
        sizes.append(int(text(page, "#lists .count").split(" of ")[1].split()[0]) if lists() else 0)
        if outcome == "wrong":
            assert all(each["right"] == 0 for each in lists())
        else:
            assert all(each["right"] > 0 for each in lists())
    assert sum(sizes) == 30


def test_correspondences_react_to_pointer_and_keyboard(page):
    cells = "#matching [role=gridcell]"
    before = drawn(page, 0), drawn(page, 1)
    page.point_at(f"{cells}[aria-label='row 1, column 1']")
    assert text(page, "#matching-words").startswith("Infrared row 1, column 1: the most probable match is row ")
    pointed = drawn(page, 0), drawn(page, 1)
    assert pointed != before
    page.run(f"document.querySelector(\"{cells}[tabindex='0']\").focus()")
    page.press("ArrowDown")
    page.press("ArrowRight")
    assert text(page, "#matching-words").startswith("Infrared row 2, column 2:")
    assert page.run("document.activeElement.getAttribute('aria-label')") == "row 2, column 2"
    assert count(page, f"{cells}[tabindex='0']") == 1
    assert page.run("document.querySelector('#matching .here').ariaLabel") == "row 2, column 2"
    assert (drawn(page, 0), drawn(page, 1)) != pointed
    page.click("#matching input[value=layer4]")
    fourth = drawn(page, 0)
    page.click("#matching .people button:nth-child(2)")
    assert page.run("document.querySelector('#matching .people button:nth-child(2)').ariaPressed") == "true"
    assert drawn(page, 0) != fourth


def test_the_colours_show_the_matching_probability(page):
    """The brightest position of the canvas is the one that the sentence names."""
    page.point_at("#matching [role=gridcell][aria-label='row 2, column 2']")
    words = text(page, "#matching-words")
    row, column = (int(n) for n in words.split("most probable match is row ")[1].split(" (")[0].split(", column "))
    rows, columns = page.run("JSON.parse(document.getElementById('data').textContent).people[0].stages.layer3.grid")
    brightest = page.run(
        "(() => {const c = document.querySelector('#matching .viewer canvas'), w = c.width, h = c.height;"
        f"const d = c.getContext('2d').getImageData(0, 0, w, h).data; const at = (r, k) => d[4 * (Math.floor((r + .5) * h / {rows}) * w"
        f" + Math.floor((k + .5) * w / {columns})) + 3]; let best = [0, 0];"
        f"for (let r = 0; r < {rows}; r++) for (let k = 0; k < {columns}; k++) if (at(r, k) > at(...best)) best = [r, k];"
        "return best})()"
    )
    assert brightest == [row - 1, column - 1]
    style = page.run("(({left, top}) => [left, top])(document.querySelector('#matching .best').style)")
    assert [float(each[:-1]) for each in style] == pytest.approx([100 * (column - 1) / columns, 100 * (row - 1) / rows])


def test_masks_change_with_the_stage(page):
    assert count(page, "#masks tbody tr") == 3
    before = page.run("document.querySelector('#masks tbody canvas').toDataURL()")
    page.click("#masks input[value=layer4]")
    assert page.run("document.querySelector('#masks tbody canvas').toDataURL()") != before


def test_the_map_shows_the_image_under_the_pointer(page):
    assert count(page, "#map .dot") == 60
    page.point_at("#map .space circle:last-of-type")
    assert "visible" in text(page, "#map .shown")
    assert count(page, "#map .shown img") == 1
    ring = "document.querySelector('#map .ring').getAttribute('transform')"
    assert page.run(ring) == page.run(
        "document.querySelector('#map .space circle:last-of-type').getAttribute('transform')"
    )
    assert page.run("document.querySelector('#map .space svg').lastChild.matches('.ring')"), "other marks would hide it"
    page.run("document.querySelector('#map .space svg').focus()")
    page.press("ArrowRight")
    first = text(page, "#map .shown")
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    assert text(page, "#map .shown") != first
    identity = page.run("document.querySelector('#map select').options[2].value")
    page.choose("#map select", identity)
    assert 0 < count(page, "#map .dot:not(.faded)") < 60
    page.press("ArrowRight")
    assert text(page, "#map .shown").startswith(f"identity {int(identity):04d}")
    colour = "document.querySelector('#map .space circle').style.fill"
    before = page.run(colour)
    page.click("#map input[value=modality]")
    assert page.run(colour) != before
    places = "[...document.querySelectorAll('#map .dot')].map(dot => dot.getAttribute('transform')).join()"
    neighbours = page.run(places)
    before = page.run(ring)
    page.click("#map input[value=pca]")
    assert page.run(places) != neighbours
    assert page.run(ring) != before


def test_charts_have_a_readout_and_a_table(page):
    page.point_at("#cmc svg[role=img]")
    assert text(page, "#cmc .readout").startswith("rank ")
    assert count(page, "#cmc details tbody tr") == 4 * 20
    page.click("#cmc summary")
    assert page.run("document.querySelector('#cmc details').open")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_report_of_a_run_on_synthetic_small(lba, small_yaml, tmp_path, axe):
    """Like a user: make a data set, train for a step, write the report, and open it."""
    lba("prepare", "synthetic", "--preset", "small", "--output", "people")
    step = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1")
    lba("train", "--config", small_yaml, "--data", "people", "--output", "run", *step)
    lba("visualize", "report", "--checkpoint", "run", "--mode", "all", "--shots", "both", "--output", "r.html")
    path = tmp_path / "r.html"
    assert path.stat().st_size < 20_000_000
    with Page(browser_program(), tmp_path / "profile") as page:
        page.open(path)
        assert count(page, "#curves path.plot") > 0
        page.point_at("#matching [role=gridcell][aria-label='row 2, column 2']")
        assert text(page, "#matching-words").startswith("Infrared row 2, column 2")
        page.click("#lists input[value=wrong]")
        assert count(page, "#lists .list .right") == 0
        page.run(f"{axe};0")
        assert (
            page.run("axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact)).length)")
            == 0
        )
        assert page.console == []
        assert [url for url in page.requests if not url.startswith("data:")] == [path.as_uri()[:120]]


@pytest.mark.slow
def test_the_truth_is_shown_where_it_is_known(lba, network_file, true_people, tmp_path):
    size = [word for value in ("data.height=64", "data.width=32") for word in ("--set", value)]
    lba("visualize", "report", "--checkpoint", network_file, "--data", true_people, "--output", "r.html", *size)
    with Page(browser_program(), tmp_path / "profile") as page:
        page.open(tmp_path / "r.html")
        known = page.run("DATA.people[0].stages.layer3.true")
        for position, true in enumerate(known):
            row, column = divmod(position, 2)
            page.point_at(f"#matching [role=gridcell][aria-label='row {row + 1}, column {column + 1}']")
            words = text(page, "#matching-words")
            assert count(page, "#matching .viewer .true") == len(true or [])
            expected = "doesn't show the person" if true is None else "The truth: row" if true else "isn't seen"
            assert expected in words
        assert "Correspondences of" in text(page, "#matching")
        assert page.console == []
