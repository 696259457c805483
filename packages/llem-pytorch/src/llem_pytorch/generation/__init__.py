"""How a loaded model generates: batches, settings, times."""
