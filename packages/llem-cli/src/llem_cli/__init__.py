"""The ``llem`` command. Nothing here is imported by other distributions."""

# Reading it from the installed metadata would cost `llem --version` half of its time again; a
# test holds it against the metadata.
__version__ = "0.1.0"
