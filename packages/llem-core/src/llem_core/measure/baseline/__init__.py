"""Idle power: taken, kept for later experiments, evaluated, and checked."""
