"""The process that runs steps: reads orders from its input, a line of JSON each, and answers.

``{"step": "facts", "limit_s": 15}`` is answered by any number of facts, ``{"name": value}``, and
then by ``{"end": "done"}`` or ``{"end": "failed", "reason": …}``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu_session.machine import Card, Machine
from gpu_session.scale import CARD, REHEARSAL
from gpu_session.session import Session


def main() -> None:
    options = _parser().parse_args()
    send = _answers()
    scale = REHEARSAL if options.rehearse else CARD
    with _machine(options.rehearse) as machine:
        for line in sys.stdin:
            order = json.loads(line)
            until_s = time.monotonic() + order["limit_s"]
            session = Session(scale, machine, options.raw, options.log, send, until_s)
            send(_run(f"{options.steps}.{order['step']}", session))


def _run(module: str, session: Session) -> dict[str, str]:
    try:
        importlib.import_module(module).run(session)
    # A step's failure is one of its results, whatever a driver or an engine raises.
    except Exception:  # noqa: BLE001
        return {"end": "failed", "reason": traceback.format_exc()[-3000:]}
    return {"end": "done"}


def _answers() -> Callable[[dict[str, Any]], None]:
    """Keep the output for answers alone: what a library prints goes to the error output."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(answer: dict[str, Any]) -> None:
        text = json.dumps(answer, ensure_ascii=False, default=str)
        with lock:
            output.write(text + "\n")
            output.flush()

    return send


@contextlib.contextmanager
def _machine(rehearse: bool) -> Iterator[Machine]:
    if not rehearse:
        yield Card()
        return
    from gpu_session.rehearsal import simulated_card

    with simulated_card() as machine:
        yield machine


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--raw", type=Path, required=True, help="folder of raw files")
    parser.add_argument("--log", type=Path, required=True, help="the session's log")
    parser.add_argument("--steps", default="gpu_session.steps", help="package of the steps")
    parser.add_argument("--rehearse", action="store_true", help="over a simulated device")
    return parser


if __name__ == "__main__":
    main()
