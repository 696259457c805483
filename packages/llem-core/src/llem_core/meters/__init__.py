"""What energy samplers share; third parties use it as the shipped ones do."""

from llem_core.meters.visible import VisibleGpus, visible_gpus

__all__ = ["VisibleGpus", "visible_gpus"]
