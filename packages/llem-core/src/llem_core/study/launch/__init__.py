"""How a run of a study gets a process of its own, and how that ends."""
