"""Wall-power sampler of LLenergyMeasure: reads a meter from a file or a socket."""
