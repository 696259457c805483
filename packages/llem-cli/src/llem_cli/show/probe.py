"""``llem config --probe``: has the samplers measure their sensors, and shows what they found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from llem_core.contracts import SensorProbe
from llem_core.contracts.sampler import SamplerSpec
from llem_core.errors import EnergyError
from llem_core.plugins import plugins
from llem_core.plugins.problems import ask_availability
from llem_core.results.views.block import Block

from llem_cli.show.output import note
from llem_cli.show.table import render


def describe_probe(as_json: bool) -> str:
    """Probe every usable sampler that can be probed; text or JSON of what was found.

    Raises:
        EnergyError: no sampler can be probed here, or a probe failed.
    """
    found = {spec.name: _probe(spec) for spec in _probed()}
    if as_json:
        facts = {name: [asdict(probe) for probe in probes] for name, probes in found.items()}
        return json.dumps({"probes": facts}, indent=2, ensure_ascii=False)
    return render([_block(name, probe) for name, probes in found.items() for probe in probes])


def _probed() -> list[SamplerSpec]:
    able = [spec for spec in plugins().samplers if spec.probe is not None]
    usable = []
    reasons = []
    for spec in able:
        available = ask_availability(spec)
        if available.usable:
            usable.append(spec)
        else:
            reasons.append(f"{spec.name}: {available.reason.rstrip('.')}")
    if usable:
        return usable
    why = "; ".join(reasons) if reasons else "no installed sampler has sensors to measure"
    raise EnergyError(
        f"There is nothing to probe here ({why}). Run `llem config --probe` on the machine that "
        "will be measured; `llem config` shows what each sampler needs."
    )


def _probe(spec: SamplerSpec) -> Sequence[SensorProbe]:
    assert spec.probe is not None
    note(f"Measuring the sensors of {spec.name}; keep the devices otherwise idle.")
    try:
        return spec.probe()
    except EnergyError as error:
        raise EnergyError(f"The sampler {spec.name} could not be probed: {error}") from error


def _block(name: str, probe: SensorProbe) -> Block:
    block = Block(f"{probe.label}", f"{probe.domain}, by {name}")
    for key, value in probe.values.items():
        label, unit = key.rsplit("_", 1)
        told = f"not measured: {probe.reasons.get(key, 'no reason given')}"
        block.add(label.replace("_", " "), told if value is None else f"{value:g} {unit}")
    block.add("kept at", probe.kept_at)
    block.items.extend(probe.notes)
    return block
