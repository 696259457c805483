"""Core of LLenergyMeasure."""
