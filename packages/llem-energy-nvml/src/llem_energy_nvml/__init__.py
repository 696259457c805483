"""NVML energy sampler of LLenergyMeasure."""
