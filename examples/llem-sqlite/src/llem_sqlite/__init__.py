"""SQLite sink of LLenergyMeasure: one row an experiment, with units."""
