"""Drives an engine that serves under a load, and cuts a window of time out of it."""
