"""Whether NVML can measure here, in one sentence."""

from __future__ import annotations

import pynvml
from llem_core.contracts import Availability


def availability() -> Availability:
    """Open NVML, count the devices, and close it again."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Availability(False, f"NVML cannot be opened ({error})")
    try:
        count = pynvml.nvmlDeviceGetCount()
        version = pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError as error:
        return Availability(False, f"NVML does not answer ({error})")
    finally:
        pynvml.nvmlShutdown()
    if count == 0:
        return Availability(False, f"the driver ({version}) shows no GPU")
    return Availability(True, f"{count} GPU(s), driver {version}", ("gpu",))
