"""For engines that have processes of their own; backends may import it.

``EngineProcess`` runs a program from its start to its certain end, ``CapturedOutput`` keeps what
engines print off the terminal and at hand for an error.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llem_core.processes.engine import EngineProcess
    from llem_core.processes.output import CapturedOutput, describe_exit

__all__ = ["CapturedOutput", "EngineProcess", "describe_exit"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: whoever needs the host's memory alone does without engines.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llem_core.processes import engine, output

    return getattr(engine if name == "EngineProcess" else output, name)
