"""Measures the sensors themselves: `llem config --probe`."""
