"""A scripted exporter behind a port of this machine, in real time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llem_energy_dcgm.testing.scripted import ScriptedExporter


class ExporterServer(ThreadingHTTPServer):
    """Answers at any path as its script says, from the moment at which it was made.

    Args:
        scripted: the script.
        port: to listen at; 0 for a free one.
    """

    daemon_threads = True

    def __init__(self, scripted: ScriptedExporter, port: int = 0) -> None:
        self.scripted = scripted
        self.started_s = time.monotonic()
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Where its metrics are."""
        return f"http://127.0.0.1:{self.server_port}/metrics"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 2**16
    server: ExporterServer

    def do_GET(self) -> None:
        """Answer."""
        page = self.server.scripted.page(time.monotonic() - self.server.started_s)
        if self.server.closing.wait(page.wait_s) or page.status == 0:
            self.close_connection = True
            return
        body = page.body.encode()
        self.send_response(page.status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def serving(scripted: ScriptedExporter) -> Iterator[ExporterServer]:
    """A scripted exporter in a thread, for as long as it is needed."""
    with ExporterServer(scripted) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
