"""Backend of LLenergyMeasure for servers that speak the OpenAI API."""
