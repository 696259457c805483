"""Studies: many experiments, each in a process of its own, that survive the night."""
