"""A fake server of the native API on a real socket, which fails and drops connections on demand.

A real server does not fail on demand. test_application.py checks the client against the real application, and
that the fake has no route of its own.
"""

import hashlib
import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

NOW = "2026-01-01T00:00:00Z"
FILE_ID = "file_" + "1" * 32
RESULTS: dict[str, dict[str, Any]] = {
    "transcribe": {"text": " Hello there.", "language": "en", "duration": 1.0, "segments": []},
    "analyze_pitch": {
        "detected_key": "F# minor",
        "confidence": 0.87,
        "dominant_pitches": ["F#", "A", "C#"],
        "candidates": [{"key": "F# minor", "correlation": 0.9}],
        "chroma_mean": [0.1] * 11 + [1.0],
        "duration": 1.0,
    },
    "speak": {"voice": "en", "duration": 1.0, "sample_rate": 16000, "channels": 1},
    "dialogue": {"turns": [], "duration": 1.0, "sample_rate": 16000, "channels": 1},
    "separate": {"stems": {"vocals": "vocals.wav", "bass": "bass.wav"}, "duration": 1.0},
    "generate_music": {"duration": 2.5, "sample_rate": 32000, "channels": 1, "seed": 7},
}


@dataclass
class Seen:
    """A received request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    size: int
    body: bytes
    """The first bytes of the body."""


@dataclass
class Reply:
    """A response that replaces the regular one; with a status of None, the connection is cut instead."""

    status: int | None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class FakeServer:
    """State of the server, and its faults to come."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.replies: deque[Reply] = deque()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.models: list[dict[str, Any]] = []
        self.voices: list[dict[str, Any]] = []
        self.ready = True
        self.outcome = "succeeded"
        self.weights = "none"
        self.job_artifacts: list[str] = []
        self.progress_events = 3
        self.events_per_connection: deque[int] = deque()
        """Events of each connection to an event stream before it is cut; later connections deliver all."""
        self.endless = threading.Event()
        """While set, event streams send pings in place of the final event."""
        self.event_stream_opened = threading.Event()
        self.cuts: deque[int] = deque()
        """Bytes after which each download is cut; later ones are complete."""
        self.supports_ranges = True
        self._keys: dict[str, str] = {}
        self._http = _HttpServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "FakeServer":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.endless.clear()
        self._http.shutdown()
        self._http.server_close()

    def requests(self, method: str, path: str) -> list[Seen]:
        """List the requests with this method and path."""
        return [seen for seen in self.seen if seen.method == method and seen.path == path]

    def fail(self, status: int, code: str, **headers: str) -> None:
        """Respond to the next request with this error."""
        body = json.dumps({"error": {"code": code, "message": f"failing with {code}", "field": "x"}})
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.replies.append(Reply(status, body.encode(), {"Content-Type": "application/json", **named}))

    def add_artifact(self, name: str, content: bytes, sha256: str | None = None) -> str:
        """Add an artifact, whose record may have a wrong hash."""
        identity = f"art_{len(self.artifacts):032x}"
        self.artifacts[identity] = (stored(identity, name, content, sha256), content)
        return identity

    def submit(self, request: dict[str, Any], key: str) -> dict[str, Any]:
        """Return the job of a request; the same key returns the same job."""
        if key not in self._keys:
            self._keys[key] = f"job-{len(self.jobs)}"
            self.jobs[self._keys[key]] = self.job(self._keys[key], request["task"], "queued")
        return self.jobs[self._keys[key]]

    def job(self, identity: str, task: str, status: str) -> dict[str, Any]:
        """Return the record of a job."""
        at = f"{self.url}/v1/jobs/{identity}"
        record: dict[str, Any] = {"id": identity, "task": task, "status": status, "created_at": NOW}
        record |= {"urls": {"self": at, "events": f"{at}/events", "cancel": f"{at}/cancel"}}
        record |= {"weights": self.weights, "model": "fake"}
        if status == "succeeded":
            record["result"] = {"task": task, **RESULTS[task]}
            record["artifacts"] = [self.artifacts[artifact][0] for artifact in self.job_artifacts]
        if status == "failed":
            record["error"] = {"code": "out_of_memory", "message": "too large", "stage": "decoding"}
        return record

    def events(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all events of a job."""
        shared = {"job_id": job["id"], "created_at": NOW}
        middle = [
            {"id": str(n), "type": "progress", "progress": n / (self.progress_events + 1), **shared}
            for n in range(1, self.progress_events + 1)
        ]
        final = self.job(job["id"], job["task"], self.outcome)
        last = {"id": str(self.progress_events + 1), "type": self.outcome, "job": final, **shared}
        return [{"id": "0", "type": "started", **shared}, *middle, last]


def uploaded_name(body: bytes) -> str:
    """Return the name of the file in a form: its exact one (RFC 8187), or the plain one."""
    if exact := re.search(rb"filename\*=UTF-8''(\S+)", body):
        return unquote_to_bytes(exact[1]).decode(errors="replace")
    plain = re.search(rb'name="file"; filename="([^"]*)"', body)
    return plain[1].decode(errors="replace") if plain else ""


def stored(identity: str, name: str, content: bytes, sha256: str | None = None) -> dict[str, Any]:
    """Return the record of a file or artifact."""
    digest = sha256 or hashlib.sha256(content).hexdigest()
    kind = {"media_type": "audio/wav", "bytes": len(content), "sha256": digest}
    return {"id": identity, "name": name, "url": "http://elsewhere.invalid", "created_at": NOW, **kind}


class _HttpServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close their connection, as these tests intend."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        fake = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeServer

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        size, start = self._read_body()
        headers = {key.lower(): value for key, value in self.headers.items()}
        seen = Seen(self.command, url.path, parse_qs(url.query), headers, size, start)
        self.fake.seen.append(seen)
        if self.fake.replies:
            self._reply(self.fake.replies.popleft())
            return
        for method, pattern, handle in ROUTES:
            if method == self.command and (match := re.fullmatch(pattern, url.path)):
                handle(self, seen, *match.groups())
                return
        self._json(404, {"error": {"code": "not_found", "message": f"no {url.path}"}})

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815

    def _reply(self, reply: Reply) -> None:
        if reply.status is None:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.send_response(reply.status)
        for key, value in reply.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _json(self, status: int, document: Any) -> None:
        self._reply(Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"}))

    # Bodies, of which only the beginning is kept

    def _read_body(self) -> tuple[int, bytes]:
        size, start = 0, b""
        for part in self._body():
            size += len(part)
            if len(start) < 4096:
                start += part[:4096]
        return size, start

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield from self._exactly(int(self.headers.get("Content-Length", 0)))
            return
        while length := int(self.rfile.readline() or b"-1", 16):
            yield from self._exactly(length)
            self.rfile.readline()
        self.rfile.readline()

    def _exactly(self, remaining: int) -> Iterator[bytes]:
        while remaining:
            chunk = self.rfile.read(min(remaining, 65536))
            if not chunk or remaining < 0:
                raise ConnectionResetError("the body ended early")
            remaining -= len(chunk)
            yield chunk

    # Handlers of the routes

    def upload(self, seen: Seen) -> None:
        content = seen.body.partition(b'name="file"')[2].partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        self._json(201, stored(FILE_ID, uploaded_name(seen.body), content))

    def delete(self, _: Seen, __: str) -> None:
        self._reply(Reply(204))

    def submit(self, seen: Seen) -> None:
        self._json(202, self.fake.submit(json.loads(seen.body), seen.headers["idempotency-key"]))

    def get_job(self, _: Seen, identity: str) -> None:
        if identity in self.fake.jobs:
            self._json(200, self.fake.jobs[identity])
        else:
            self._json(404, {"error": {"code": "not_found", "message": f"no job {identity}"}})

    def list_jobs(self, seen: Seen) -> None:
        jobs = list(self.fake.jobs.values())
        start, limit = int(seen.query.get("cursor", ["0"])[0]), min(int(seen.query["limit"][0]), 2)
        end = start + limit
        more = str(end) if end < len(jobs) else None
        self._json(200, {"data": jobs[start:end], "next_cursor": more})

    def cancel(self, _: Seen, identity: str) -> None:
        job = self.fake.jobs[identity]
        job["status"] = self.fake.outcome = "canceled"
        self.fake.endless.clear()
        self._json(200, job)

    def events(self, seen: Seen, identity: str) -> None:
        if identity not in self.fake.jobs:
            self.get_job(seen, identity)
            return
        after = int(seen.headers.get("last-event-id", -1))
        pending = self.fake.events(self.fake.jobs[identity])[after + 1 :]
        if not pending:
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.fake.event_stream_opened.set()
        if self.fake.events_per_connection:
            self._send_some(pending, self.fake.events_per_connection.popleft())
        else:
            self._send_all(pending)

    def _send_some(self, pending: list[dict[str, Any]], count: int) -> None:
        for event in pending[:count]:
            self._chunk(_as_sse(event))
        if len(pending) > count:
            self._chunk(_as_sse(pending[count])[:-1])  # without the blank line that completes an event
        self.close_connection = True
        self.connection.shutdown(2)

    def _send_all(self, pending: list[dict[str, Any]]) -> None:
        for event in pending[:-1]:
            self._chunk(_as_sse(event) + b": ping\r\n\r\n")
        while self.fake.endless.is_set():
            if not self._ping():
                return
        if self.fake.outcome == "canceled":
            pending = self.fake.events(self.fake.jobs[self.path.split("/")[3]])[-1:]
        for event in pending[-1:]:
            self._chunk(_as_sse(event))
        self._chunk(b"")

    def _ping(self) -> bool:
        try:
            self._chunk(b": ping\r\n\r\n")
        except OSError:
            return False
        time.sleep(0.02)
        return True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def get_artifact(self, _: Seen, identity: str) -> None:
        self._json(200, self.fake.artifacts[identity][0])

    def search(self, _: Seen) -> None:
        self._json(200, {"data": [record for record, _ in self.fake.artifacts.values()]})

    def content(self, seen: Seen, identity: str) -> None:
        content = self.fake.artifacts[identity][1]
        requested = re.fullmatch(r"bytes=(\d+)-", seen.headers.get("range", ""))
        start = int(requested[1]) if requested and self.fake.supports_ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = self.fake.cuts.popleft() if self.fake.cuts else None
        self.wfile.write(content[start : None if cut is None else start + cut])
        if cut is not None:
            self.close_connection = True
            self.connection.shutdown(2)

    def archive(self, _: Seen, __: str) -> None:
        self._reply(Reply(200, b"PK zip", {"Content-Type": "application/zip"}))

    def list_models(self, _: Seen) -> None:
        self._json(200, {"data": self.fake.models})

    def get_model(self, _: Seen, name: str) -> None:
        self._json(200, next(model for model in self.fake.models if model["id"] == name))

    def list_voices(self, _: Seen) -> None:
        self._json(200, {"data": self.fake.voices})

    def create_voice(self, seen: Seen) -> None:
        body = json.loads(seen.body)
        voice = {"id": body["name"], "source": "uploaded", **body}
        self.fake.voices = [*self.fake.voices, voice]
        self._json(201, voice)

    def delete_voice(self, _: Seen, name: str) -> None:
        remaining = [voice for voice in self.fake.voices if voice["id"] != name]
        if len(remaining) == len(self.fake.voices):
            self._json(404, {"error": {"code": "not_found", "message": f"there is no voice {name!r}"}})
            return
        self.fake.voices = remaining
        self._reply(Reply(204))

    def change(self, seen: Seen, name: str, action: str) -> None:
        variant = json.loads(seen.body).get("variant")
        replica = {"replica": "r1", "changed": True, "variants": [variant or "base"], "bytes": 5}
        report = {"model": name, "action": action, "variant": variant, "replicas": [replica], "bytes": 5}
        self._json(200, report)

    def health(self, _: Seen) -> None:
        self._json(200, {"status": "ok", "version": "9.9"})

    def readiness(self, _: Seen) -> None:
        dependency = {"name": "database", "ok": self.fake.ready, "required": True, "message": None}
        self._json(200 if self.fake.ready else 503, {"ready": self.fake.ready, "dependencies": [dependency]})


def _as_sse(event: dict[str, Any]) -> bytes:
    return f"id: {event['id']}\r\nevent: {event['type']}\r\ndata: {json.dumps(event)}\r\n\r\n".encode()


ROUTES = (
    ("POST", "/v1/files", _Handler.upload),
    ("DELETE", "/v1/files/([^/]+)", _Handler.delete),
    ("POST", "/v1/jobs", _Handler.submit),
    ("GET", "/v1/jobs", _Handler.list_jobs),
    ("GET", "/v1/jobs/([^/]+)", _Handler.get_job),
    ("POST", "/v1/jobs/([^/]+)/cancel", _Handler.cancel),
    ("GET", "/v1/jobs/([^/]+)/events", _Handler.events),
    ("GET", "/v1/jobs/([^/]+)/artifacts.zip", _Handler.archive),
    ("GET", "/v1/artifacts", _Handler.search),
    ("GET", "/v1/artifacts/([^/]+)", _Handler.get_artifact),
    ("GET", "/v1/artifacts/([^/]+)/content", _Handler.content),
    ("GET", "/v1/models", _Handler.list_models),
    ("GET", "/v1/models/([^/]+)", _Handler.get_model),
    ("POST", "/v1/models/([^/]+)/(load|unload)", _Handler.change),
    ("GET", "/v1/voices", _Handler.list_voices),
    ("POST", "/v1/voices", _Handler.create_voice),
    ("DELETE", "/v1/voices/([^/]+)", _Handler.delete_voice),
    ("GET", "/health", _Handler.health),
    ("GET", "/ready", _Handler.readiness),
)
