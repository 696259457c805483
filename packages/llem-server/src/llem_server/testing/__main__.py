"""``python -m llem_server.testing``: the scripted server as a program."""

from __future__ import annotations

import argparse
import asyncio

from llem_server.testing.scripted import MISBEHAVIOURS, ScriptedHttpServer


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="scripted")
    parser.add_argument("--kind", default="vllm", help="what it says that it is")
    parser.add_argument("--first-token-s", type=float, default=0.05)
    parser.add_argument("--token-s", type=float, default=0.02)
    parser.add_argument("--tokens-per-chunk", type=int, default=1)
    parser.add_argument("--slots", type=int, default=0, help="requests at a time; 0: no limit")
    parser.add_argument("--misbehaviour", choices=MISBEHAVIOURS, default="none")
    parser.add_argument("--every", type=int, default=1, help="each how many-th request misbehaves")
    parser.add_argument("--log", help="file for the time of each chunk, as JSON lines")
    parser.add_argument("--certificate", help="PEM file with key and certificate: speaks TLS")
    asked = vars(parser.parse_args())
    server = ScriptedHttpServer(**asked)
    asyncio.run(server.serve_forever())


if __name__ == "__main__":
    main()
