"""Core of LLenergyMeasure. The stable public names are those of ``llenergymeasure``."""

__version__: str


def __getattr__(name: str) -> str:
    # Looked up when asked for: reading metadata would be a third of the start of `llem --help`.
    if name == "__version__":
        from importlib.metadata import version

        return version("llem-core")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
