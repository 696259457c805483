"""For engines that have processes of their own; backends may import it.

``EngineProcess`` runs a program from its start to its certain end, ``CapturedOutput`` keeps what
engines print off the terminal and at hand for an error.
"""

from llem_core.processes.engine import EngineProcess
from llem_core.processes.output import CapturedOutput, describe_exit

__all__ = ["CapturedOutput", "EngineProcess", "describe_exit"]
