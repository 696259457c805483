"""Energy of NVIDIA GPUs through a DCGM exporter, on this host or another."""
