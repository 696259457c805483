"""Zeus energy sampler of LLenergyMeasure: GPUs through NVML, packages and memory through RAPL."""
