"""What is loaded: its files, its weights, its facts."""
