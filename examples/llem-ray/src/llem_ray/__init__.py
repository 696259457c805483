"""Launcher of LLenergyMeasure: each run of a study in a process on a node of a Ray cluster."""
