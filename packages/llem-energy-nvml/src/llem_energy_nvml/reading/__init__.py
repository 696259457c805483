"""From counter reads and power samples to one device's energy and its uncertainty."""
