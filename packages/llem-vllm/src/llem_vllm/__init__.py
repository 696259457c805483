"""The vLLM backend of LLenergyMeasure."""
