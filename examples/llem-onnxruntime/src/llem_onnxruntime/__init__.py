"""ONNX Runtime backend of LLenergyMeasure, on the CPU."""
