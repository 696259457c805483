"""CodeCarbon energy sampler of LLenergyMeasure: measured where it can be, estimated elsewhere."""
