"""A page that tries every way to use a server, opened in a headless Chromium."""

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from tests.support.sounds import wav_bytes

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60.0

_PAGE = """<!DOCTYPE html><title>page</title><iframe name="frame"></iframe><script>
const server = new URLSearchParams(location.search).get("server");
const job = new URLSearchParams(location.search).get("job");
const socket = server.replace("http", "ws");
const outcomes = {};
const attempt = async (name, act) => {
  const silence = new Promise(done => setTimeout(done, 5000, "silence"));
  try { outcomes[name] = await Promise.race([act(), silence]); } catch (error) { outcomes[name] = "error"; }
};
const submission = JSON.stringify({task: "speak", text: "Hello."});
const post = (path, type, body, mode) =>
  fetch(server + path, {method: "POST", headers: type ? {"content-type": type} : {}, body, mode});
const event = (target, good) => new Promise(done => {
  target.addEventListener(good, () => done(good));
  target.addEventListener("error", () => done("error"));
});
const upload = (sound, frame) => new Promise(done => {
  const form = document.createElement("form");
  const enctype = "multipart/form-data";
  Object.assign(form, {action: server + "/v1/files", method: "post", enctype, target: frame.name});
  const input = document.createElement("input");
  Object.assign(input, {type: "file", name: "file"});
  const files = new DataTransfer();
  files.items.add(new File([sound], "a.wav"));
  input.files = files.files;
  form.append(input);
  document.body.append(form);
  frame.addEventListener("load", () => done("sent"), {once: true});
  form.submit();
});
const image = () => {
  const image = new Image();
  image.src = server + "/v1/jobs";
  return event(image, "load");
};
const script = () => {
  const script = document.createElement("script");
  script.src = server + "/v1/jobs";
  document.body.append(script);
  return event(script, "load");
};
(async () => {
  await attempt("read", async () => (await fetch(server + "/v1/jobs")).status);
  await attempt("submit", async () => (await post("/v1/jobs", "application/json", submission)).status);
  await attempt("text", async () => (await post("/v1/jobs", "text/plain", submission, "no-cors")).type);
  await attempt("empty", async () => (await post("/services/speaker/v1/load-model", "", "", "no-cors")).type);
  await attempt("beacon", async () => navigator.sendBeacon(`${server}/v1/jobs/${job}/cancel`));
  const sound = await (await fetch("/sound")).blob();
  await attempt("form", () => upload(sound, document.querySelector("iframe")));
  await attempt("image", image);
  await attempt("script", script);
  await attempt("events", () => event(new EventSource(`${server}/v1/jobs/${job}/events`), "open"));
  await attempt("socket", () => event(new WebSocket(`${socket}/v1/jobs/${job}/ws`), "open"));
  await fetch("/report", {method: "POST", body: JSON.stringify(outcomes)});
})();
</script>"""


class Site:
    """A site with the page at /page, and perhaps the server itself at all other paths."""

    def __init__(self, server: ASGIApp | None = None) -> None:
        self._reported = threading.Event()
        self._outcomes: dict[str, Any] = {}
        routes: list[Route | Mount] = [
            Route("/page", lambda _: HTMLResponse(_PAGE)),
            Route("/sound", lambda _: Response(wav_bytes())),
            Route("/report", self._report, methods=["POST"]),
        ]
        self.app = Starlette(routes=[*routes, *([Mount("/", server)] if server else [])])

    async def _report(self, request: Request) -> Response:
        self._outcomes = json.loads(await request.body())
        self._reported.set()
        return Response()

    def outcomes(self, url: str, profile: Path) -> dict[str, Any]:
        """Open the page at a URL, and return the outcome of each of its attempts."""
        browser = subprocess.Popen(
            _command(url, profile, "--remote-debugging-port=0"), stderr=subprocess.DEVNULL
        )
        try:
            assert self._reported.wait(PATIENCE), "the page has not reported"
        finally:
            browser.terminate()
            browser.wait(PATIENCE)
        return self._outcomes


def shown(url: str, profile: Path) -> str:
    """Return the document that the browser shows at a URL."""
    command = _command(url, profile, "--dump-dom")
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def _command(url: str, profile: Path, *options: str) -> list[str]:
    assert CHROMIUM is not None
    sandbox = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    names = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    return [CHROMIUM, *sandbox, "--no-first-run", f"--user-data-dir={profile}", names, *options, url]
