"""vLLM's engine and its processes: started, asked for facts, and ended."""
