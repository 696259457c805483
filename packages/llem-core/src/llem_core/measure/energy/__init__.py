"""The energy of an experiment: meters, totals, uncertainty, and the energy of phases."""
