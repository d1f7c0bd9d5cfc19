"""A page of somebody else in the learner's browser tries to reach the service: a real browser, and no answer.

The page lies at another port, and under a name that means this machine ("DNS rebinding"). It tries what a page
can: fetch in all its modes, forms, pictures, scripts, styles, frames, streams, sockets, beacons, and a window of
its own. It even knows a learner's key, which a real one would not.
"""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

import browsing

EVIL = "evil.example"
PAGE = b"""<!doctype html><title>A game</title><body><iframe name="hole" id="hole"></iframe>"""
ATTACK = """
async ([service, key]) => {
  const got = {};
  const nothing = () => new Promise((done) => setTimeout(() => done("nothing"), 3000));
  const within = (promise) => Promise.race([promise, nothing()]);
  const read = async (name, path, how) => {
    got[name] = await within(
      fetch(service + path, how).then(async (a) => `${a.type} ${a.status} ${await a.text()}`, (e) => "refused"));
  };
  const bearer = { authorization: `Bearer ${key}` };
  const json = { ...bearer, "content-type": "application/json" };
  await read("fetch", "/v1/models", {});
  await read("fetch of the page", "/", {});
  await read("fetch of whether it lives", "/health", {});
  await read("fetch with the key", "/v1/models", { headers: bearer });
  await read("fetch with credentials", "/v1/models", { credentials: "include" });
  await read("fetch without leave", "/v1/models", { mode: "no-cors" });
  await read("fetch of a file without leave", "/page/main.js", { mode: "no-cors" });
  await read("same origin", "/v1/models", { mode: "same-origin" });
  await read("delete", "/v1/models/x", { method: "DELETE", headers: bearer });
  await read("simple post", "/v1/fine_tuning/jobs", { method: "POST", mode: "no-cors", body: '{"model":"ada"}' });
  const body = '{"model":"ada","prompt":"x"}';
  await read("post with the key", "/v1/completions", { method: "POST", headers: json, body });
  const form = new FormData();
  form.append("purpose", "fine-tune");
  form.append("file", new File(["{}"], "evil.jsonl"));
  await read("upload", "/v1/files", { method: "POST", mode: "no-cors", body: form });
  await read("upload with the key", "/v1/files", { method: "POST", headers: bearer, body: form });
  const element = (tag, name, path, attribute = "src", more = {}) => within(new Promise((done) => {
    const it = Object.assign(document.createElement(tag), more);
    it.onload = () => done("loaded");
    it.onerror = () => done("refused");
    it[attribute] = service + path;
    document.body.append(it);
  })).then((result) => { got[name] = result; });
  await element("img", "picture", "/page/icon.svg");
  await element("script", "script", "/page/main.js");
  await element("script", "script of answers", "/v1/models");
  await element("script", "module", "/page/main.js", "src", { type: "module" });
  await element("link", "style", "/page/style.css", "href", { rel: "stylesheet" });
  await element("video", "video", "/v1/files");
  await element("object", "object", "/", "data");
  const events = new EventSource(service + "/v1/fine-tunes/x/events?stream=true");
  got.events = await within(new Promise((done) => {
    events.onmessage = () => done("loaded");
    events.onerror = () => done("refused");
  }));
  events.close();
  const socket = new WebSocket(service.replace("http", "ws") + "/v1/models");
  got.socket = await within(new Promise((done) => {
    socket.onopen = () => done("loaded");
    socket.onerror = () => done("refused");
  }));
  navigator.sendBeacon(service + "/v1/fine_tuning/jobs", '{"model":"ada"}');
  const sent = document.createElement("form");
  Object.assign(sent, { method: "post", action: service + "/v1/files", target: "hole", enctype: "text/plain" });
  document.body.append(sent);
  sent.submit();
  await new Promise((done) => setTimeout(done, 500));
  return got;
}
"""


@pytest.fixture(scope="module")
def port():
    """A server of somebody else's: its page, under any name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    """A browser that takes the evil name for this machine, as a name server of the page's owner would have it."""
    with browsing.page(switches=[f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"]) as page:
        yield page


@pytest.fixture
def victim(service):
    """A learner, and what they have before and after."""
    client = service.client("victim")

    def owned():
        return len(client.files.list().data), len(client.fine_tuning.jobs.list().data)

    before = owned()
    yield service.keys["victim"]
    assert owned() == before, "a page has changed something"


def at(service, name):
    address = urlsplit(service.url)
    return f"http://{name}:{address.port}"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", EVIL])
@pytest.mark.parametrize("home", ["127.0.0.1", EVIL])
def test_nothing_gets_through_to_another_page(browser, service, victim, port, tried, home, name):
    """From another port of this machine, and from elsewhere; to the service's own names, and to a borrowed one."""
    browser.goto(f"http://{home}:{port}/")
    got = browser.evaluate(ATTACK, [at(service, name), victim])
    opaque = {name for name, result in got.items() if result.startswith("opaque")}
    through = {name: result for name, result in got.items() if result not in ("refused", "nothing", "opaque 0 ")}
    assert not through
    assert opaque <= {"fetch without leave", "fetch of a file without leave", "simple post", "upload"}
    tried(f"a page at {home} tries {name}", f"{len(got)} ways", len(through))


@pytest.mark.parametrize("path", ["", "v1/models", "health", "page/main.js"])
def test_a_borrowed_name_is_refused_when_one_goes_there(browser, service, path):
    """Rebinding: the page's own name means this machine all of a sudden. The browser takes both for one place."""
    answer = browser.goto(f"{at(service, EVIL)}/{path}")
    assert answer.status == 403 and json.loads(answer.text())["error"]["code"] == "forbidden"
    assert browser.evaluate("fetch('/v1/models').then((a) => a.status, () => 'refused')") == "refused"


@pytest.mark.parametrize(("tag", "attribute"), [("iframe", "src"), ("embed", "src"), ("object", "data")])
def test_the_page_can_not_be_framed(browser, service, port, tag, attribute):
    """Else another page could lay its own buttons over it (clickjacking)."""
    browser.goto(f"http://127.0.0.1:{port}/")
    frame = """([tag, attribute, url]) => {
      document.body.append(Object.assign(document.createElement(tag), { [attribute]: url })); }"""
    browser.evaluate(frame, [tag, attribute, at(service, "127.0.0.1") + "/"])
    browser.wait_for_timeout(700)
    for inside in (frame for frame in browser.frames if frame != browser.main_frame):
        with contextlib.suppress(Exception):  # the browser's own page that says so
            assert "Your key" not in inside.content() and inside.locator("#key").count() == 0


def test_a_link_from_elsewhere_opens_the_page_but_holds_no_thread_to_it(browser, service, port):
    browser.goto(f"http://127.0.0.1:{port}/")
    with browser.expect_popup() as opened:
        browser.evaluate("(url) => { window.other = window.open(url); }", at(service, "localhost") + "/")
    opened.value.wait_for_selector("#enter", state="attached")
    assert opened.value.evaluate("window.opener") is None
    assert browser.evaluate("window.other.closed || !window.other.length")
    opened.value.close()


def test_the_key_stays_in_its_tab(browser, service, victim, port):
    """In the tab's own memory, for this address alone: not in a cookie, a file of the browser or the address."""
    browser.goto(at(service, "localhost") + "/")
    browser.get_by_label("Your key").fill(victim)
    browser.get_by_role("button", name="Open").click()
    browser.locator("#panels section").first.wait_for()
    everywhere = "JSON.stringify([document.cookie, {...localStorage}, location.href, history.state])"
    assert victim not in browser.evaluate(everywhere)
    assert victim in browser.evaluate("JSON.stringify({...sessionStorage})")
    browser.goto(f"http://localhost:{port}/")
    assert browser.evaluate("JSON.stringify({...sessionStorage})") == "{}"
    browser.goto(at(service, "localhost") + "/")
    browser.get_by_role("button", name="Leave").click()
    assert browser.evaluate("JSON.stringify({...sessionStorage})") == "{}"
