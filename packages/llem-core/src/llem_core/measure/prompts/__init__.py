"""Turns ``dataset`` into prompts."""
