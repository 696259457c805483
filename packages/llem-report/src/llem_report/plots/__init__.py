"""Plots, each an SVG with the data that it was drawn from."""
