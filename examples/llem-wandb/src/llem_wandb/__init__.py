"""Weights & Biases sink of LLenergyMeasure: a run an experiment, offline by default."""
