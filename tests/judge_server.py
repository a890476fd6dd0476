"""A real HTTP server on loopback that speaks OpenAI's chat completions, and fails in the ways that servers do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = '{"score": 2, "reason": "mostly right"}'
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms behind its headers on a connection that is kept
    server: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.serve(self, Asked(self.path, headers, body, time.monotonic()))

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.look(self, Asked(self.path, headers, {}, time.monotonic()))

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float

    @property
    def system(self) -> str:
        return str(self.body["messages"][0]["content"])

    @property
    def user(self) -> str:
        content = self.body["messages"][1]["content"]
        return str(content if isinstance(content, str) else content[0]["text"])


Act = Callable[[Handler, Asked], None]


class JudgeServer(ThreadingHTTPServer):
    """`script` is acted out first, one act a request; then `act` answers everything. `asked` is all that came.

    `look` answers whoever wants to see its models.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.act: Act = says(GOOD)
        self.look: Act = gives({"object": "list", "data": []})
        self.script: list[Act] = []
        self.asked: list[Asked] = []
        self.at_once = self.most_at_once = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def serve(self, handler: Handler, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            act = self.script.pop(0) if self.script else self.act
        try:
            act(handler, asked)
        finally:
            with self._lock:
                self.at_once -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


def completion(text: str | None, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    return {"id": "1", "object": "chat.completion", "model": "judge-2026", "choices": [choice], "usage": USAGE}


def says(text: str | None, finish: str | None = "stop", **message: Any) -> Act:
    return gives(completion(text, finish, **message))


def gives(body: Any, status: int = 200, **headers: str) -> Act:
    """This body, as JSON unless it is bytes; underscores in names of headers are hyphens."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda handler, asked: handler.send(status, data, {k.replace("_", "-"): v for k, v in headers.items()})


def fails(status: int, message: str = "no", code: str | None = None, **headers: str) -> Act:
    return gives({"error": {"message": message, "type": "t", "param": None, "code": code}}, status, **headers)


def hangs(handler: Handler, asked: Asked) -> None:
    handler.server.closing.wait(5)
    handler.close_connection = True


def trickles(handler: Handler, asked: Asked) -> None:
    """A byte now and then, for longer than anyone should wait."""
    handler.send(200, b"", {"Content-Length": "1000"})
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b" ")


def cuts(handler: Handler, asked: Asked) -> None:
    """Half of a body, then nothing."""
    handler.send(200, json.dumps(completion(GOOD)).encode()[:40], {"Content-Length": "400"})
    handler.close_connection = True


def dies(handler: Handler, asked: Asked) -> None:
    """The server is gone: this request gets no answer, and later ones no connection."""
    server = handler.server
    server.script, server.act = [], vanishes
    server.shutdown()
    server.server_close()
    vanishes(handler, asked)


def vanishes(handler: Handler, asked: Asked) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def slowly(seconds: float, act: Act) -> Act:
    def wait(handler: Handler, asked: Asked) -> None:
        time.sleep(seconds)
        act(handler, asked)

    return wait


@dataclass
class Refusing:
    """A server that knows only some parameters: a bad request that may name the first one it doesn't know."""

    parameters: tuple[str, ...]
    formats: tuple[str, ...] = ()
    names: bool = True
    status: int = 400
    refused: list[str] = field(default_factory=list)

    def __call__(self, handler: Handler, asked: Asked) -> None:
        form = asked.body.get("response_format", {}).get("type")
        unknown = [name for name in self.parameters if name in asked.body]
        if form and form not in self.formats:
            unknown.append("response_format")
        if not unknown:
            return says(GOOD)(handler, asked)
        self.refused.append(unknown[0])
        hint = " Use 'max_completion_tokens' instead." if unknown[0] == "max_tokens" else ""
        message = f"Unsupported parameter: '{unknown[0]}'.{hint}" if self.names else "Bad request"
        return fails(self.status, message)(handler, asked)


@contextmanager
def running() -> Iterator[JudgeServer]:
    server = JudgeServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
