"""Configuration: one model a file, named after its section in an experiment file."""

from llem_core.config.baseline import BaselineConfig
from llem_core.config.dataset import DatasetConfig
from llem_core.config.energy import EnergyConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.loader import load_experiment_config
from llem_core.config.user import UserConfig, load_user_config
from llem_core.config.warmup import WarmupConfig
from llem_core.contracts.decoder import DecoderConfig
from llem_core.contracts.lora import LoRAConfig

__all__ = [
    "BaselineConfig",
    "DatasetConfig",
    "DecoderConfig",
    "EnergyConfig",
    "ExperimentConfig",
    "LoRAConfig",
    "UserConfig",
    "WarmupConfig",
    "load_experiment_config",
    "load_user_config",
]
