"""From what the harness observed to the figures of a result."""
