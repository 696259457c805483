"""Results: their types, how raw ones are pooled, and where they lie on disk."""
