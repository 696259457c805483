"""The conformance kit, over the simulated meter."""

import contextlib

from llem_core.testing import SamplerContract

from llem_wallmeter import hooks
from llem_wallmeter.config import WallMeterConfig
from llem_wallmeter.simulate import SimulatedMeter


class TestWallMeter(SamplerContract):
    plugin = hooks
    power_w = (39.9, 40.1)
    address = None

    @contextlib.contextmanager
    def surroundings(self):
        with SimulatedMeter("tcp://127.0.0.1:0", power_w=40.0, interval_s=0.01) as meter:
            self.address = meter.address
            yield

    def make_section(self):
        return WallMeterConfig(source=self.address)
