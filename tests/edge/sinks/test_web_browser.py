"""The page in a real browser: what can be read in every situation, at every size, and what is never shown.

``MMRPHYS_PICTURES=DIR`` keeps the screenshots there, under the names of the scenes.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from fakes.bedside import OK_HR, OK_RR, Bedside, S, lost, sight
from fakes.chromium import Chromium, Page, eventually
from websockets.sync.client import connect

from edge.sight import FaceSeen
from edge.sinks.freshness import DEAD_MS, LIMITS, STALE_MS, shown
from edge.sinks.records import NOTICE
from edge.sinks.web.address import Address
from edge.sinks.web.clients import MOST
from edge.vitals import REASONS, STATES, Estimate

pytestmark = pytest.mark.browser
CSS = resources.files("edge.sinks.web").joinpath("static/page.css").read_text(encoding="utf-8")
TIME_MACHINE = Path(__file__).with_name("time_machine.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    made = Chromium(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture
def chromium(browser: Chromium) -> Iterator[Chromium]:
    yield browser
    browser.close_pages()


@pytest.fixture
def bedside(serve: Callable[..., Bedside]) -> Bedside:
    made = serve(kept="numbers", sight=sight)
    made.meta()
    return made


@pytest.fixture
def keep(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Takes a picture of a page, and holds that nothing went wrong in it."""
    folder = Path(os.environ.get("MMRPHYS_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)

    def picture(page: Page, name: str, *, whole: bool = False) -> Path:
        assert page.errors == []
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), "it scrolls to the side"
        page.picture(folder / f"{name}.png", whole=whole)
        assert (folder / f"{name}.png").stat().st_size > 5_000
        return folder / f"{name}.png"

    return picture


def half_a_minute(bedside: Bedside, *, two: bool = False) -> None:
    for _ in range(32):
        bedside.step()
        for zone, person in (("bed-1", 0), ("bed-2", 4)) if two else (("main", 0),):
            bedside.look(zone=zone, person=person)
            bedside.waves(zone=zone, person=person, rate=72.0 - 14.0 * person / 4)


def ink(page: Page, which: int = 0) -> float:
    """Share of a wave's columns in which something is drawn, when all was drawn that there is."""
    script = """(i) => { const c = document.querySelectorAll("canvas")[i];
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0;
        for (let x = 0; x < c.width; x++) for (let y = 0; y < c.height; y++)
            if (d[4 * (y * c.width + x) + 3]) { n++; break; }
        return n / c.width; }"""
    return float(page.run(f"({script})({which})"))


def test_all_is_well(chromium, bedside, keep):
    half_a_minute(bedside)
    page = chromium.page(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "72" and ink(page) > 0.5 and ink(page, 1) > 0.5)
    keep(page, "ok")
    assert page.text(".rr .digits") == "15"
    assert page.text(".hr .unit").strip() == "/min"
    for words in ("quality 0.82 good", "s old", "from RGB camera", "± 0.9", "over 10 s"):
        assert words in page.text(".hr .facts")
    assert "from thermal camera" in page.text(".rr .facts")
    assert page.text(".banner") == "● measuring"
    assert page.text("#link") == "● connected"
    assert page.text("#kept") == "◐ numbers are recorded"
    assert page.text("#cameras") == "RGB 30.0 fps · thermal 8.7 fps, 2 lost"
    assert page.text("#notice") == NOTICE
    assert page.run("document.title") == "kit-7 · mmrphys"
    assert page.run("document.querySelectorAll('video, img').length") == 0


def test_what_is_lost_has_dashes_its_reasons_and_what_to_do(chromium, bedside, keep):
    bedside.look(lost("motion", "weak_signal"), lost("thermal_gap", state="thermal_lost"))
    page = chromium.page(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "---")
    keep(page, "lost")
    assert page.run(CUT) == []
    assert page.text(".banner") == "■ RR: thermal camera lost"
    assert page.text(".hr .state") == "■ no trustworthy signal"
    for code in ("motion", "weak_signal"):
        assert f"{REASONS[code].sentence}: {REASONS[code].fix}" in page.text(".hr .why")
    assert eventually(lambda: page.text(".hr .legend") == "no pulse wave at the moment")
    bedside.clock.now_ns += 5 * S
    bedside.send(bedside.factory.status("online", "started"))
    assert eventually(lambda: page.text(".banner") == "■ out of date"), "what was true 5 s ago"


def test_without_news_values_turn_grey_and_then_into_dashes(chromium, bedside, keep):
    half_a_minute(bedside)
    page = chromium.page(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "72")
    bedside.clock.now_ns += 5 * S
    bedside.send(bedside.factory.status("online", "started"))
    eventually(lambda: page.text(".banner") == "■ out of date")
    assert page.text(".hr .digits") == "72"
    assert page.run("getComputedStyle(document.querySelector('.hr .digits')).fontStyle") == "italic"
    eventually(lambda: ink(page) > 0.2)
    keep(page, "stale")
    bedside.clock.now_ns += 6 * S
    bedside.send(bedside.factory.status("online", "started"))
    eventually(lambda: (page.text(".hr .digits"), page.text(".rr .digits")) == ("---", "---"))
    assert eventually(lambda: ink(page, 1) == 0.0)
    assert "check that it runs" in page.text(".hr .why")


def test_two_people_have_a_card_each(chromium, serve, keep):
    bedside = serve(recording=True)
    bedside.meta("bed-1", "bed-2")
    half_a_minute(bedside, two=True)
    bedside.look(
        Estimate(57.6, 0.41, "low_quality", ("motion",), 10.0, 300, 2.4),
        lost("no_thermal", "cues_disagree"), zone="bed-2", person=4,
    )  # fmt: skip
    page = chromium.page(bedside.url)
    eventually(lambda: page.run("document.querySelectorAll('.card').length") == 2 and ink(page) > 0.5)
    keep(page, "two")
    assert page.run(CUT) == []
    assert page.text(".card:nth-child(2) h2") == "bed-2"
    assert page.text(".card:nth-child(2) .hr .digits") == "58"
    assert "poor" in page.text(".card:nth-child(2) .hr .facts")
    assert page.text("#kept") == "● pictures are recorded"
    bedside.look(zone="bed-2", person=5)
    eventually(lambda: page.run("[...document.querySelectorAll('h2')].some((h) => h.innerText == 'bed-2 · person 5')"))
    for _ in range(3):
        bedside.step()
        bedside.look(zone="bed-2", person=5)
    eventually(lambda: page.run("document.querySelectorAll('.card').length") == 2)


BAD = Estimate(57.6, 0.41, "low_quality", ("motion", "dark"), 10.0, 300, 2.4)


def test_names_are_text_and_never_markup(chromium, bedside):
    name = "<img src=x onerror=document.title=1>"
    bedside.look(zone=name)
    page = chromium.page(bedside.url)
    eventually(lambda: page.text("h2") == name)
    assert page.run("document.querySelectorAll('img').length") == 0


SCREENS = {
    "1280": {"width": 1280, "height": 800},
    "1920": {"width": 1920, "height": 1080},
    "1024": {"width": 1024, "height": 660},
}
CUT = """[...document.querySelectorAll(".card, .rate, .why, .top, .facts, .state, .value")].filter((e) => e.clientWidth
    && (e.scrollWidth > e.clientWidth + 2 || e.scrollHeight > e.clientHeight + (e.matches(".value") ? 99 : 2)))
    .map((e) => `${e.closest(".card").dataset.key} ${e.className} ${e.scrollWidth}x${e.scrollHeight}`)"""
HEIGHT = """(() => { const t = document.createElement("canvas").getContext("2d");
    return Math.min(...[...document.querySelectorAll(".digits")].map((d) => {
        const s = getComputedStyle(d);
        t.font = `${s.fontWeight} ${s.fontSize} ${s.fontFamily}`;
        const m = t.measureText("8");
        return (m.actualBoundingBoxAscent + m.actualBoundingBoxDescent) / innerHeight; })); })()"""


def a_ward(bedside: Bedside, beds: int) -> None:
    """The first is well, the second poor, the third lost, and so on."""
    for _ in range(32):
        bedside.step()
        for bed in range(beds):
            rates = [(OK_HR, OK_RR), (BAD, OK_RR), (lost("motion", "dark"), lost("motion", "weak_signal"))][bed % 3]
            bedside.look(*rates, zone=f"bed-{bed + 1:02}")
            if bed % 3 < 2:
                bedside.waves(zone=f"bed-{bed + 1:02}")


@pytest.mark.parametrize(
    ("beds", "screen", "least"),
    [
        (1, "1280", 0.18), (4, "1280", 0.12), (8, "1280", 0.05),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in (
            (2, "1280", 0.15), (3, "1280", 0.13), (5, "1280", 0.06), (1, "1920", 0.18), (2, "1920", 0.15),
            (3, "1920", 0.14), (4, "1920", 0.12), (8, "1920", 0.05), (1, "1024", 0.18),
            (2, "1024", 0.14),
        )),
    ],
)  # fmt: skip
def test_all_beds_fit_a_screen_with_large_numbers_and_their_reasons(chromium, bedside, keep, beds, screen, least):
    a_ward(bedside, beds)
    page = chromium.page(bedside.url, **SCREENS[screen])
    eventually(lambda: page.run("document.querySelectorAll('.card').length") == beds)
    eventually(lambda: ink(page) > 0.5)
    eventually(lambda: page.run(f"document.querySelectorAll('.rate.none').length == {beds // 3 * 2}"))
    keep(page, f"beds-{beds}-{screen}")
    assert page.run("document.documentElement.scrollHeight <= innerHeight")
    assert page.run(CUT) == []
    assert page.run(HEIGHT) >= least
    sys.stdout.write(f"{beds} cards at {screen}: digits are {page.run(HEIGHT):.1%} of the screen's height\n")


@pytest.mark.parametrize(
    ("name", "screen"),
    [
        ("narrow", {"width": 390, "height": 844}),
        ("zoom-200", {"zoom": 2.0}),
        pytest.param("dark", {"dark": True}, marks=pytest.mark.slow),
        pytest.param("narrowest", {"width": 320, "height": 640}, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_cut_off_on_other_screens(chromium, bedside, keep, name, screen):
    half_a_minute(bedside)
    page = chromium.page(bedside.url, **screen)
    eventually(lambda: page.text(".hr .digits") == "72" and ink(page) > 0.5)
    keep(page, name)
    spilt = """[...document.querySelectorAll("body *")].filter((e) => e.id !== "spoken" && e.clientWidth &&
        (e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 2))
        .map((e) => e.className)"""
    assert page.run(spilt) == []


@pytest.mark.slow
def test_night_is_dark_and_stays_chosen(chromium, bedside, keep):
    half_a_minute(bedside)
    page = chromium.page(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "72")
    for _ in range(2):
        page.run("document.getElementById('theme').click()")
    eventually(lambda: ink(page) > 0.5)
    keep(page, "night")
    page.go(bedside.url)
    assert eventually(lambda: page.text("#theme") == "Theme: night")
    assert page.run("getComputedStyle(document.documentElement).backgroundColor") == "rgb(0, 0, 0)"
    page.run("localStorage.clear()")


@pytest.mark.slow
@pytest.mark.parametrize("screen", [(1280, 800), (1920, 1080), (390, 844), (844, 390)])
@pytest.mark.parametrize("people", [1, 2])
def test_numbers_are_an_eighth_of_the_screens_height(chromium, bedside, screen, people):
    for person in range(people):
        bedside.look(Estimate(128.0, 0.82, "ok", (), 10.0, 240, 0.9), zone=f"bed-{person}", person=person)
    page = chromium.page(bedside.url, width=screen[0], height=screen[1])
    eventually(lambda: page.text(".hr .digits") == "128")
    assert page.run(HEIGHT) >= 0.12


def test_it_is_worked_by_keys_alone_and_cameras_are_aimed_without_a_picture(chromium, serve, keep):
    small = FaceSeen("main", 0, (0.02, 0.3, 0.05, 0.09), 62.0, 22.0, 0.4, None)
    bedside = serve(sight=lambda: sight(faces=(small,)))
    half_a_minute(bedside)
    page = chromium.page(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "72")
    page.key("Tab", 9)
    assert page.run("document.activeElement.id") == "aim"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.key("Enter", 13)
    assert eventually(lambda: "not aimed well yet" in page.text(".headline"))
    assert page.run("document.getElementById('aim').getAttribute('aria-pressed')") == "true"
    for words in ("62 px wide (want >= 80)", "brightness 22 of 255", "sees 40% of the face", "21 ms apart"):
        assert words in page.text(".advice")
    box = page.run("(({x, y, width, height}) => [x, y, width, height])(document.querySelector('rect.face').getBBox())")
    assert box == pytest.approx([20.0, 168.75, 50.0, 50.625], abs=0.01)
    assert page.run("document.querySelectorAll('polygon.thermal').length") == 1
    eventually(lambda: ink(page) > 0.5)
    keep(page, "aim", whole=True)
    assert page.run(CUT) == []
    assert page.run("document.querySelectorAll('#aiming image, #aiming img, #aiming canvas, video').length") == 0
    page.key("Tab", 9)
    assert page.run("document.activeElement.id") == "theme"
    page.key("Tab", 9)
    assert page.run("document.activeElement.tagName") == "SUMMARY"


@pytest.mark.slow
def test_speech_tells_of_changes_but_not_more_often_than_every_five_seconds(chromium, bedside):
    bedside.look()
    page = chromium.page(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "72")
    spoken = page.run("document.getElementById('spoken').textContent")
    assert "pulse 72, measuring" in spoken
    assert page.run("document.getElementById('spoken').ariaLive") == "polite"
    page.run("""window.told = []; new MutationObserver(() => told.push(performance.now())).observe(
        document.getElementById("spoken"), { childList: true, characterData: true, subtree: true })""")
    for i in range(12):
        bedside.step()
        bedside.look(Estimate(60.0 + i, 0.8, "ok", (), 10.0, 100, 1.0))
        page.run("new Promise((done) => setTimeout(done, 100))")
    assert len(page.run("told")) <= 1


@pytest.mark.slow
def test_who_wants_no_motion_gets_a_drawing_a_second(chromium, bedside):
    half_a_minute(bedside)
    page = chromium.page(None)
    page.media({"prefers-reduced-motion": "reduce"})
    page.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="""window.drawn = 0;
        const clear = CanvasRenderingContext2D.prototype.clearRect;
        CanvasRenderingContext2D.prototype.clearRect = function (...a) {
            window.drawn++; return clear.apply(this, a); };""",
    )
    page.go(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "72")
    count = page.run("window.drawn = 0, new Promise((done) => setTimeout(() => done(window.drawn), 1500))")
    assert 2 <= count <= 2 * 3, "two waves, once a second"


@pytest.mark.slow
def test_a_token_of_base64_is_taken_as_it_stands_in_the_link(chromium, serve, tmp_path):
    token = "ab+cd/ef+gh/ij+kl=="
    (tmp_path / "token").write_text(token + "\n")
    (tmp_path / "token").chmod(0o600)
    bedside = serve(Address("127.0.0.1", 0, token_file=str(tmp_path / "token")))
    bedside.look()
    page = chromium.page(bedside.url.partition("#")[0] + "#token=" + token)
    eventually(lambda: page.text(".hr .digits") == "72")


def test_the_token_leaves_the_address_and_a_page_without_it_says_so(chromium, serve):
    bedside = serve(Address("127.0.0.1", 0, names=("kit.example",)))
    bedside.look()
    locked = chromium.page(bedside.url.partition("#")[0])
    eventually(lambda: "needs its token" in locked.text("#notice-top"))
    assert locked.text(".digits") == ""
    page = chromium.page(bedside.url)
    eventually(lambda: page.text(".hr .digits") == "72")
    assert "token" not in page.run("location.href")
    assert page.run("document.cookie") == "", "scripts cannot read it"
    again = chromium.page(bedside.url.partition("#")[0])
    eventually(lambda: again.text(".hr .digits") == "72")


@pytest.mark.slow
def test_a_page_too_many_says_so_and_gets_in_later(chromium, bedside):
    bedside.look()
    with ExitStack() as others:
        for _ in range(MOST):
            others.enter_context(connect(f"ws://127.0.0.1:{bedside.sink.port}/live"))
        page = chromium.page(bedside.url)
        eventually(lambda: page.text("#link") == "■ too many pages are open")
    eventually(lambda: page.text(".hr .digits") == "72")


@pytest.mark.slow
def test_a_device_that_stops_is_told(chromium, bedside):
    bedside.look()
    page = chromium.page(bedside.url)
    eventually(lambda: page.text("#link") == "● connected")
    bedside.send(bedside.factory.status("offline", "ended"))
    eventually(lambda: page.text("#link") == "■ not measuring: ended")
    bedside.sink.close()
    eventually(lambda: page.text("#link") == "■ no connection")


@pytest.mark.slow
def test_a_whole_run_on_the_page(chromium, keep):
    """`mmrphys run` at real time, from its synthetic patient to what can be read; the README shows these pictures."""
    words = ["run", "--rgb", "synthetic:?hr=72&seconds=120&seed=1", "--sink", "web:127.0.0.1:0", "--device-id", "kit-7"]
    with subprocess.Popen([sys.executable, "-m", "edge", *words], stderr=subprocess.PIPE, text=True) as run:
        try:
            url = next(found[1] for line in run.stderr or () if (found := re.search("bedside page: (http.*)", line)))
            page = chromium.page(url, width=1200, height=675)
            eventually(lambda: page.text(".banner") == "● measuring", 90)
            eventually(lambda: page.run("new Promise((done) => setTimeout(() => done(true), 11000))"), 30)
            assert 70 <= int(page.text(".hr .digits")) <= 74
            assert ink(page) > 0.5
            keep(page, "page")
            page.run("document.getElementById('aim').click()")
            eventually(lambda: "aimed well" in page.text(".headline"))
            keep(page, "page-aim")
        finally:
            run.terminate()
            run.communicate(timeout=20)
    assert run.returncode == 0


# ---------------------------------------------------------------------------------------------------------- stale


def test_the_browser_judges_freshness_as_the_device_does(chromium, bedside):
    rng = random.Random(7)
    edges = [0, STALE_MS, STALE_MS + 1, DEAD_MS, DEAD_MS + 1, -1]
    ages = [rng.choice([rng.uniform(-500, 13_000), *edges]) for _ in range(8000)]
    cases = [
        [rng.choice([None, 72.0, 15.5]), rng.choice(STATES), age, silent]
        for age, silent in zip(ages[::2], ages[1::2], strict=True)
    ]
    page = chromium.page(bedside.url)
    script = f"""import("/freshness.js").then((m) => {json.dumps(cases)}.map(([v, s, a, b]) =>
        m.shown(v, s, a, b, {json.dumps(LIMITS)})))"""
    there = page.run(script)
    here = [shown(*case) for case in cases]
    assert [(one["value"], one["state"], one["grey"]) for one in there] == [(o.value, o.state, o.grey) for o in here]
    assert len({(one.value is None, one.grey) for one in here}) >= 3


def in_a_world(chromium: Chromium, bedside: Bedside, state: str = "ok") -> Page:
    """The page with its time and its network in our hands, and one snapshot as the device makes them."""
    bedside.look(OK_HR, OK_RR)
    template = bedside.sink._board.snapshot(bedside.clock(), -1)
    page = chromium.page(None)
    page.call("Page.addScriptToEvaluateOnNewDocument", source=TIME_MACHINE)
    page.call("Page.navigate", url=bedside.url)
    eventually(lambda: page.run("Boolean(window.world?.socket)"))
    setup = {"template": template, "state": state, "delayUp": 20, "delayDown": 20}
    page.run(f"Object.assign(world, {json.dumps(setup)}), world.look(), true")
    return page


def play(page: Page, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What can be seen after each step: 0.2 s of real time, unless the step says more."""
    script = """(async (steps) => { const seen = [];
        for (const { ms = 200, wall = 0, cut = false, delayUp, delayDown, ...how } of steps) {
            if (delayUp !== undefined) Object.assign(world, { delayUp, delayDown });
            world.wall += wall;
            if (cut && world.socket.readyState === 1) world.socket.cut();
            await world.step(ms, how);
            world.wasAsleep = Boolean(how.asleep);
            if (!how.asleep) seen.push({ ...world.seen(), quiet: !how.looks && how.looks !== undefined });
        }
        return seen; })"""
    return list(page.run(f"{script}({json.dumps(steps)})"))


def test_a_sound_network_shows_every_look_at_once(chromium, bedside):
    seen = play(in_a_world(chromium, bedside), [{} for _ in range(50)])
    assert all(one["digits"] != "---" and not one["grey"] and one["age"] <= 1000 for one in seen[10:])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("the device is silent, the socket open", {"looks": False, "sends": False}),
        ("the camera hangs, the device goes on", {"looks": False}),
        ("the network stalls", {"delayUp": 600_000, "delayDown": 600_000}),
        ("everything comes 8 s late", {"delayUp": 20, "delayDown": 8_000}),
    ],
)
def test_grey_after_three_seconds_dashes_after_ten(chromium, bedside, name, fault):
    page = in_a_world(chromium, bedside)
    play(page, [{} for _ in range(30)])
    seen = play(page, [fault for _ in range(75)])
    assert not seen[4]["grey"], "under a second"
    assert all(one["grey"] for one in seen[18:]), "3 s and the moment until it is looked at"
    if "late" not in name:
        assert seen[40]["digits"] != "---"
        assert all(one["digits"] == "---" for one in seen[53:])


def test_after_sleep_nothing_old_is_shown_though_it_waited_in_the_network(chromium, bedside):
    page = in_a_world(chromium, bedside)
    play(page, [{} for _ in range(30)])
    play(page, [{"asleep": True, "ms": 500} for _ in range(3)])
    play(page, [{"asleep": True, "ms": 3_600_000, "looks": False, "sends": False}])
    (first,) = play(page, [{"looks": False, "sends": False, "ms": 50}])
    assert first["digits"] == "---"
    seen = play(page, [{} for _ in range(20)])
    assert not seen[-1]["grey"], "and the present is back soon"


def schedule(rng: random.Random) -> list[dict[str, Any]]:
    """Random faults, each for a while: silence, stalls, delays, sleep, breaks, and a wall clock that is set."""
    steps: list[dict[str, Any]] = [{} for _ in range(10)]
    while len(steps) < 220:
        length = rng.randint(1, 60)
        kind = rng.randrange(8)
        if kind == 0:
            steps += [{"looks": False, "sends": rng.random() < 0.5} for _ in range(length)]
        elif kind == 1:
            delays = {
                "delayUp": rng.choice([0, 50, 4000, 30_000]),
                "delayDown": rng.choice([0, 50, 3000, 9000, 40_000]),
            }
            steps += [delays for _ in range(length)]
        elif kind == 2:
            asleep = {"asleep": True, "ms": rng.choice([200, 3000, 100_000]), "sends": rng.random() < 0.8}
            steps += [{**asleep, "looks": rng.random() < 0.5} for _ in range(rng.randint(1, 5))]
        elif kind == 3:
            steps.append({"cut": True})
            steps += [{"opens": False} for _ in range(rng.randint(0, length))]
        elif kind == 4:
            steps.append({"wall": rng.choice([-3.6e6, -5000, 5000, 3.6e6])})
        elif kind == 5:
            steps += [{"delayUp": 600_000, "delayDown": 20} for _ in range(length)]
        else:
            steps += [{"delayUp": 20, "delayDown": 20} for _ in range(length)]
    return steps


@pytest.mark.parametrize(
    "state", ["ok", *(pytest.param(state, marks=pytest.mark.slow) for state in ("low_quality", "hold"))]
)
def test_whatever_happens_no_value_older_than_ten_seconds_is_shown(chromium, bedside, state):
    """Random schedules of faults; what is on the screen tells which look it came from, and so its true age."""
    page = in_a_world(chromium, bedside, state)
    shown_at_all = greyed = dashed = 0
    for seed in range(12):
        seen = play(page, schedule(random.Random(f"{state} {seed}")))
        old = [one for one in seen if one["age"] is not None and one["age"] > DEAD_MS + 250]
        assert old == [], f"seed {seed}: 10 s, and a quarter until the page looks at its clock again"
        bright = [one for one in seen if one["age"] is not None and not one["grey"] and one["age"] > STALE_MS + 450]
        assert bright == [], f"seed {seed}"
        shown_at_all += sum(one["age"] is not None and not one["grey"] for one in seen)
        greyed += sum(one["age"] is not None and one["grey"] for one in seen)
        dashed += sum(one["age"] is None for one in seen)
    assert min(shown_at_all if state != "hold" else greyed, greyed, dashed) > 50


def test_a_wave_is_never_drawn_across_a_gap(chromium, bedside):
    page = chromium.page(bedside.url)
    blocks = [
        {"fs": 10.0, "t0_ms": 0.0, "samples": [0, 1, 2, None, None, 5, 6, 7, 8, 9]},
        {"fs": 10.0, "t0_ms": 1000.0, "samples": [10, 11]},
        {"fs": 10.0, "t0_ms": 1500.0, "samples": [15, 16]},
    ]
    script = (
        f"import('/wave.js').then((m) => m.pieces({json.dumps(blocks)}, -1, 1600, 1000).map((p) => p.map((s) => s[1])))"
    )
    assert page.run(script) == [[0, 1, 2], [5, 6, 7, 8, 9], [10, 11], [15, 16]]


# ---------------------------------------------------------------------------------------------------------- colours


def themes() -> dict[str, dict[str, str]]:
    """The colours of each theme, by name, as the style sheet gives them."""
    blocks = re.findall(r"(:root[^{]*)\{([^}]*)\}", CSS)
    found = {selector.strip(): dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", inside)) for selector, inside in blocks}
    return {name: {**found[":root"], **colours} for name, colours in found.items()}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert math.isclose(contrast("#777777", "#ffffff"), 4.48, abs_tol=0.01)


@pytest.mark.parametrize("theme", sorted(themes()))
def test_text_has_four_and_a_half_to_one_and_numbers_seven(theme):
    assert len(themes()) == 3
    colours = themes()[theme]
    for ground in ("paper", "panel"):
        for name in ("ink", "soft", "good", "care", "gone", "wait", "light", "focus"):
            assert contrast(colours[name], colours[ground]) >= 4.5, f"{theme}: {name} on {ground}"
        for name in ("hr", "rr", "grey"):
            assert contrast(colours[name], colours[ground]) >= 7.0, f"{theme}: {name} on {ground}"


def test_every_colour_of_a_rule_is_one_that_was_checked():
    rules = re.sub(r":root[^{]*\{[^}]*\}", "", CSS)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", rules) == []
    texts = set(re.findall(r"(?<![-\w])color: var\(--(\w+)\)", rules))
    assert texts <= {"ink", "soft", "good", "care", "gone", "wait", "light", "focus", "hr", "rr", "grey"}
