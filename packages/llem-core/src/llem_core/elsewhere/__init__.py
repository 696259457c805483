"""Environments beside this one: how a Python elsewhere is run, and what it tells of itself."""
