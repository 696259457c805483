"""The HTML page: one file that asks nothing of any other place and runs no script."""
