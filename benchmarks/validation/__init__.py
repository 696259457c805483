"""The parts of ``gpu_validation.py``: what it runs, what it checks and what it prints."""
