"""A hostile server on loopback: asks everybody for credentials, and writes down what it is told."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Evil:
    """Use as a context manager."""

    def __init__(self) -> None:
        self._heard: list[str] = []
        evil = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                evil._heard.append(f"{self.requestline}\n{self.headers}")
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="give"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_CONNECT = do_PUT = do_PROPFIND = do_GET  # noqa: N815 - named by http.server

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        self._heard.clear()

    def saw(self, token: str) -> bool:
        """Whether the token came here, plain or as Basic authentication has it."""
        return any(token in each or token in _decoded(each) for each in self._heard)


def _decoded(request: str) -> str:
    words = [word for line in request.splitlines() if "uthorization:" in line for word in line.split()[-1:]]
    return " ".join(base64.b64decode(word + "==").decode("utf-8", "replace") for word in words)
