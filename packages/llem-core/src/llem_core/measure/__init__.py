"""Measuring one experiment in this process; ``harness`` has the order of the steps."""
