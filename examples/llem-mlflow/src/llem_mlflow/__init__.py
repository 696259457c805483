"""MLflow sink of LLenergyMeasure: a run an experiment, with units."""
