"""The class's page in a browser: an instructor and learners, at a service behind a prefix as a Hub has it."""

import contextlib
import re
import time

import openai
import pytest

import browsing
from conftest import Service, finished
from openai_local.classroom.overview import FOLDER

HOSTILE = '<img src=x onerror="window.hacked=1">'
HOSTILE_FILE = "<script>window.hacked=1<script>.jsonl"
LONG, SHORT = {"n_epochs": 50}, {"n_epochs": 4, "batch_size": 4}
NONE = "\N{EN DASH}"
PLACES = "[...document.querySelectorAll('.queue li .name')].map(e => e.textContent)"


@pytest.fixture(scope="module")
def school(tmp_path_factory, tiny_cache, pairs):
    """A class: Ada has trained, a hostile name has failed."""
    service = Service(tmp_path_factory.mktemp("school"), tiny_cache, ("--prefix", "/services/openai"))
    service.start()
    service.client("teacher", instructor=True)
    ada, other = (
        service.client("ada"),
        service.client(HOSTILE),
    )  # the command takes no such name, a Hub may have it
    file = upload(ada, pairs.read_text())
    jobs = [
        ada.fine_tuning.jobs.create(
            training_file=file, validation_file=file, model="ada", suffix="stars", hyperparameters=SHORT
        ),
        other.fine_tuning.jobs.create(training_file=upload(other, '{"prompt": "?"}\n', HOSTILE_FILE), model="ada"),
    ]
    assert [finished(client, job.id).status for client, job in zip((ada, other), jobs, strict=True)] == [
        "succeeded",
        "failed",
    ]
    yield service
    service.stop()


def upload(client, text, name="pairs.jsonl"):
    return client.files.create(file=(name, text.encode()), purpose="fine-tune").id


@pytest.fixture(scope="module")
def work(school, pairs):
    """Ada's long job runs; Ben's, Cleo's and Dora's wait. All are cancelled at the end."""
    jobs = []
    for name in ("ada", "ben", "cleo", "dora"):
        client = school.client(name)
        file = upload(client, pairs.read_text() * 60)
        jobs.append(client.fine_tuning.jobs.create(training_file=file, model="ada", hyperparameters=LONG))
        while len(jobs) == 1 and client.fine_tuning.jobs.retrieve(jobs[0].id).status != "running":
            time.sleep(0.1)
    yield jobs
    for job in reversed(jobs):
        with contextlib.suppress(openai.BadRequestError):  # it is over
            school.client("teacher").fine_tuning.jobs.cancel(job.id)


@pytest.fixture(scope="module")
def browser():
    with browsing.page(1280, 900) as page:
        yield page


@pytest.fixture
def tab(browser, school):
    """The page as somebody finds it who comes for the first time. No script may fail there, or break a rule."""
    complaints = []

    def note(message):
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def fail(error):
        complaints.append(str(error))

    browser.on("console", note)
    browser.on("pageerror", fail)
    browser.set_viewport_size({"width": 1280, "height": 900})
    browser.goto(school.url.removesuffix("v1"))
    browser.evaluate("sessionStorage.clear()")
    browser.reload()
    yield browser
    browser.remove_listener("console", note)
    browser.remove_listener("pageerror", fail)
    assert not complaints
    assert browser.evaluate("window.hacked") is None, "a name was run as a script"


def enter(tab, school, name):
    tab.get_by_label("Your key").fill(school.keys[name])
    tab.get_by_role("button", name="Open").click()
    tab.locator("#panels section").first.wait_for()


def part(tab, title):
    """The panel with this title."""
    return tab.locator("section", has=tab.get_by_role("heading", name=title, exact=True))


def wait_for(tab, expression, expected):
    deadline = time.monotonic() + 20
    while (found := tab.evaluate(expression)) != expected:
        assert time.monotonic() < deadline, f"{found} instead of {expected}"
        tab.wait_for_timeout(100)


def keep(tab, request, name):
    """Keep pictures of the whole page: light, dark, and on a phone, where nothing may stick out to the side."""
    pictures = request.config.cache.mkdir("pictures")
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.wait_for_timeout(300)
        tab.screenshot(path=pictures / f"page-{name}-{scheme}.png", full_page=True)
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.wait_for_timeout(300)
    tab.screenshot(path=pictures / f"page-{name}-phone.png", full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360, "the page is wider than a phone"
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_the_door(tab, school, request):
    keep(tab, request, "door")
    tab.get_by_label("Your key").fill(school.keys["ada"][:-4])
    tab.get_by_role("button", name="Open").click()
    tab.get_by_role("alert").filter(has_text="does not know this key").wait_for()
    assert tab.evaluate("document.activeElement.id") == "key", "the next try needs no click"
    enter(tab, school, "ada")
    assert tab.get_by_role("heading", level=1).inner_text() == "ada"
    assert school.keys["ada"] not in tab.url
    assert tab.evaluate("localStorage.length + document.cookie.length") == 0
    tab.reload()
    tab.locator("#panels section").first.wait_for()
    tab.get_by_role("button", name="Leave").click()
    tab.get_by_label("Your key").wait_for()
    assert tab.evaluate("sessionStorage.length") == 0
    assert tab.locator("#panels").inner_text() == ""


def test_an_instructor_sees_the_class(tab, school, work, request):
    enter(tab, school, "teacher")
    running = part(tab, "In training")
    running.locator("svg[aria-label^='Loss over']").wait_for()
    assert "ada" in running.inner_text() and "Step " in running.inner_text()
    assert running.locator("svg polyline.training").count() == 1
    first = running.locator("svg").get_attribute("aria-label")
    wait_for(tab, PLACES, ["ben", "cleo", "dora"])
    assert "3 jobs ahead" in part(tab, "Queue").inner_text()
    failed = part(tab, "Failed").inner_text()
    assert HOSTILE in failed and HOSTILE_FILE in failed, "hostile names are shown as they are"
    assert school.client(HOSTILE).fine_tuning.jobs.list().data[0].error.message in failed
    learners = part(tab, "Learners").locator("tbody tr")
    ada = learners.filter(has_text="ada").locator("td").all_inner_texts()
    hostile = learners.filter(has_text=HOSTILE).locator("td").all_inner_texts()
    assert (ada[:2], hostile) == (["✓ 2", "✓ 1"], ["✓ 1", NONE, NONE])
    assert re.fullmatch(
        r"ada\s+\d\.\d{3}\s+\d\.\d{3}", part(tab, "Losses side by side").locator("tbody tr").inner_text()
    )
    assert tab.locator("main img, main script").count() == 0
    history = part(tab, "All jobs").locator("details").filter(has_text="succeeded")
    history.locator("summary").click()
    history.locator("svg[aria-label*='Validation loss from']").wait_for()
    running.locator(f"svg:not([aria-label='{first}'])").wait_for()  # the curve moves on
    keep(tab, request, "class")


def test_a_learner_sees_their_own_and_asks(tab, school, work, request):
    enter(tab, school, "ada")
    part(tab, "Your job in training").locator("svg[aria-label^='Loss over']").wait_for()
    assert part(tab, "Your jobs").locator("summary").count() == 2
    for name in ("Queue", "Learners", "Failed", "Losses side by side", "All jobs"):
        assert part(tab, name).count() == 0
    tab.get_by_label("Prompt").fill("What is a star?")
    models = tab.get_by_label("Model").locator("option").all_inner_texts()
    assert any(":stars:" in name for name in models) and "smollm2-135m-instruct" in models
    assert ":stars:" in tab.get_by_label("Model").input_value(), "one's own newest model is chosen"
    tab.get_by_label("Tokens at most").fill("8")
    tab.get_by_label("Temperature").fill("0.5")
    tab.get_by_role("button", name="Ask").click()
    answer = tab.get_by_label("Answer")
    answer.filter(has_text=re.compile(r"\S")).wait_for()
    tab.get_by_role("button", name="Ask").wait_for()
    assert "wrong" not in answer.get_attribute("class")
    text = tab.locator("body").inner_text()
    assert not re.search(r"\b(ben|cleo|dora|teacher)\b", text) and HOSTILE not in text
    keep(tab, request, "learner")


def test_a_learner_who_waits_is_told_for_how_many(tab, school, work):
    enter(tab, school, "cleo")
    part(tab, "Your job in training").filter(has_text="waits: 2 jobs ahead").wait_for()
    tab.get_by_label("Prompt").fill("What is a star?")
    tab.get_by_label("Model").select_option("smollm2-135m-instruct")
    tab.get_by_label("Tokens at most").fill("3")
    tab.get_by_role("button", name="Ask").click()
    tab.get_by_role("button", name="Ask").wait_for()
    assert "wrong" not in tab.get_by_label("Answer").get_attribute("class")


def test_an_instructor_reorders_and_cancels(tab, school, work):
    enter(tab, school, "teacher")
    wait_for(tab, PLACES, ["ben", "cleo", "dora"])
    tab.get_by_role("button", name="Put dora's job first").click()
    tab.get_by_role("status").filter(has_text="dora's job is first now.").wait_for()
    wait_for(tab, PLACES, ["dora", "ben", "cleo"])
    focused = "document.activeElement.getAttribute('aria-label')"
    assert tab.evaluate(focused) == "Put dora's job first", "the focus stays where it was"
    tab.get_by_role("button", name="Put ben's job last").press("Enter")
    wait_for(tab, PLACES, ["dora", "cleo", "ben"])
    cancel = part(tab, "Queue").get_by_role("button", name="Cancel cleo's job")
    cancel.click()
    sure = part(tab, "Queue").get_by_role("button", name="Really cancel cleo's job?")
    assert sure.inner_text() == "Sure?"
    assert school.client("cleo").fine_tuning.jobs.retrieve(work[2].id).status == "queued", "once is not enough"
    sure.click()
    wait_for(tab, PLACES, ["dora", "ben"])
    assert school.client("cleo").fine_tuning.jobs.retrieve(work[2].id).status == "cancelled"


def test_a_lost_connection_comes_back(tab, school):
    enter(tab, school, "ada")
    tab.context.set_offline(True)
    tab.get_by_role("status").filter(has_text="Connection lost, trying again.").wait_for()
    tab.context.set_offline(False)
    wait_for(tab, "document.getElementById('line').textContent", "")


def test_a_page_that_nobody_sees_does_not_ask(tab, school):
    enter(tab, school, "ada")
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); "
    hide += "document.dispatchEvent(new Event('visibilitychange')) }"
    tab.evaluate(hide, True)
    tab.wait_for_timeout(300)
    asked.clear()
    tab.wait_for_timeout(2500)
    assert asked == []
    tab.evaluate(hide, False)
    tab.wait_for_timeout(300)
    assert [url for url in asked if url.endswith("/v1/class")]


def test_everything_has_a_name(tab, school):
    """For those who hear the page: every field and button says what it is, and titles come in order."""
    enter(tab, school, "teacher")
    tab.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    tab.wait_for_timeout(500)
    nameless = """[...document.querySelectorAll('input, select, textarea, button, [tabindex="0"], [role=group]')]
        .filter(e => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim()))
        .map(e => e.outerHTML)"""
    assert tab.evaluate(nameless) == []
    levels = tab.evaluate("[...document.querySelectorAll('#room h1, #room h2')].map(e => e.tagName)")
    assert levels[0] == "H1" and set(levels[1:]) == {"H2"}
    assert tab.evaluate("document.documentElement.lang") == "en"


# Without a browser


def _brightness(colour):
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_all_texts_can_be_read(scheme):
    """The contrast that WCAG 2 asks for (AA): 4.5 to 1."""
    blocks = re.findall(r":root \{(.*?)\}", (FOLDER / "style.css").read_text(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[scheme]))
    pairs = ["ink ground", "ink card", "ink soft", "ink tint", "quiet ground", "quiet card", "quiet soft"]
    pairs += ["on-accent accent", "accent card", "accent tint", "wrong card", "wrong wrong-tint", "card wrong"]
    for pair in pairs:
        bright, dark = sorted((_brightness(colours[name]) for name in pair.split()), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, pair
