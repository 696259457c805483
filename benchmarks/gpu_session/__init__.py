"""A session of seven minutes on a lent NVIDIA GPU: prepared, rehearsed, and bounded."""
