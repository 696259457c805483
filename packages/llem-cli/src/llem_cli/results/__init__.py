"""Commands on results that are there: they measure nothing."""
