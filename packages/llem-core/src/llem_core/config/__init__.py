"""Configuration: one model a file, named after its section in an experiment file."""
