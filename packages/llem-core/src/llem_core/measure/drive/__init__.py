"""Drives a backend through its life: load, warm-up, the measured window, reading out."""
