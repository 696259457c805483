"""``python -m llem_energy_dcgm.testing``: the scripted exporter as a program."""

from __future__ import annotations

import argparse
import math

from llem_core.testing import PowerScript

from llem_energy_dcgm.testing.scripted import MISBEHAVIOURS, ScriptedExporter, ScriptedGpu
from llem_energy_dcgm.testing.served import ExporterServer


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--power",
        default="0:300",
        help="power of the GPUs as `second:watts,…`, from the start on; each goes on to the next",
    )
    parser.add_argument("--uuid", action="append", help="of a GPU; may be given several times")
    parser.add_argument("--collect-interval-s", type=float, default=1.0)
    parser.add_argument("--lag-s", type=float, default=0.0)
    parser.add_argument("--misbehaviour", choices=MISBEHAVIOURS, default="none")
    parser.add_argument("--from-s", type=float, default=0.0, help="when it begins to misbehave")
    parser.add_argument("--until-s", type=float, default=math.inf)
    asked = parser.parse_args()
    steps = [tuple(map(float, step.split(":"))) for step in asked.power.split(",")]
    curve = PowerScript(*((time_s, power_w) for time_s, power_w in steps))
    uuids = asked.uuid or ["GPU-00000000-0000-0000-0000-000000000001"]
    scripted = ScriptedExporter(
        [ScriptedGpu(curve, uuid) for uuid in uuids],
        collect_interval_s=asked.collect_interval_s,
        lag_s=asked.lag_s,
        misbehaviour=asked.misbehaviour,
        from_s=asked.from_s,
        until_s=asked.until_s,
    )
    with ExporterServer(scripted, asked.port) as server:
        print(f"listening at {server.server_port}", flush=True)  # noqa: T201 - a program
        server.serve_forever()


if __name__ == "__main__":
    main()
