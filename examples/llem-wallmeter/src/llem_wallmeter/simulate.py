"""A simulated meter, to try the sampler without one: ``python -m llem_wallmeter.simulate``.

Its figures are made up: nothing is measured.
"""

from __future__ import annotations

import argparse
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

Quantity = Literal["power_w", "energy_j", "energy_wh"]
_JOULES = {"energy_j": 1.0, "energy_wh": 3600.0}


class SimulatedMeter:
    """Writes a line every ``interval_s``, in a thread; use it in a ``with`` block.

    Args:
        address: a file's path, ``tcp://127.0.0.1:<port>`` (0 is any) or ``unix://<path>``.
        power_w: the power that it pretends to see (W).
        interval_s: time between two lines (s).
        quantity: what its lines say.
        stop_after_s: it falls silent then, as a meter that lost its link (s).

    Attributes:
        address: where it is, with the port that it was given.
    """

    def __init__(
        self,
        address: str,
        *,
        power_w: float = 40.0,
        interval_s: float = 0.1,
        quantity: Quantity = "power_w",
        stop_after_s: float | None = None,
    ) -> None:
        self.address = address
        self._power_w = power_w
        self._interval_s = interval_s
        self._quantity = quantity
        self._stop_after_s = stop_after_s
        self._end = threading.Event()
        self._server: socket.socket | None = None
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._write, name="simulated-meter")]

    def __enter__(self) -> Self:
        if "://" in self.address:
            self._server = self._listen()
            self._threads.append(threading.Thread(target=self._accept, name="simulated-meter-door"))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        for connection in (*self._clients, self._server):
            if connection is not None:
                connection.close()

    def wait(self) -> None:
        """Return when it has fallen silent by itself."""
        self._threads[0].join()

    def _write(self) -> None:
        started_s = time.monotonic()
        due_s = started_s
        while not self._end.wait(max(0.0, due_s - time.monotonic())):
            elapsed_s = time.monotonic() - started_s
            if self._stop_after_s is not None and elapsed_s > self._stop_after_s:
                return
            value = self._power_w
            if self._quantity != "power_w":
                value = self._power_w * elapsed_s / _JOULES[self._quantity]
            self._send(f"{time.time():.6f} {value:.9g}\n".encode())
            due_s += self._interval_s

    def _send(self, line: bytes) -> None:
        if self._server is None:
            with Path(self.address).open("ab") as file:
                file.write(line)
            return
        for client in list(self._clients):
            try:
                client.sendall(line)
            except OSError:
                self._clients.remove(client)
                client.close()

    def _listen(self) -> socket.socket:
        kind, _, place = self.address.partition("://")
        if kind == "unix":
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.bind(place)
            server.listen()
        else:
            host, _, port = place.rpartition(":")
            server = socket.create_server((host, int(port)))
            self.address = f"tcp://{host}:{server.getsockname()[1]}"
        server.settimeout(0.1)
        return server

    def _accept(self) -> None:
        assert self._server is not None
        while not self._end.is_set():
            try:
                client, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._clients.append(client)


def main() -> None:
    """Run until it is stopped (Ctrl+C), or for ``--stop-after`` seconds."""
    parser = argparse.ArgumentParser(prog="python -m llem_wallmeter.simulate", description=__doc__)
    parser.add_argument("address", help="a file, tcp://127.0.0.1:<port> or unix://<path>")
    parser.add_argument("--power", type=float, default=40.0, help="W (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=0.1, help="s (default: %(default)s)")
    parser.add_argument(
        "--quantity", choices=("power_w", "energy_j", "energy_wh"), default="power_w"
    )
    parser.add_argument("--stop-after", type=float, help="fall silent after this long (s)")
    given = parser.parse_args()
    meter = SimulatedMeter(
        given.address,
        power_w=given.power,
        interval_s=given.interval,
        quantity=given.quantity,
        stop_after_s=given.stop_after,
    )
    try:
        with meter:
            os.write(1, f"simulated meter at {meter.address}\n".encode())
            meter.wait()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
