"""The sinks that core ships: JSON, Parquet and CSV, registered like any plugin's."""
