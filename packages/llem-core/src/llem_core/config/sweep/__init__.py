"""The grammar of studies: from ``sweep`` and ``experiments`` to validated configurations."""
