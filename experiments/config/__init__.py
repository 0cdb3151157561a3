"""Configurations of runs: their settings, checks, and what they are resolved to."""

from experiments.config.identity import canonical, folder_name
from experiments.config.settings import (
    BoundsConfig,
    CompareConfig,
    LearningSettings,
    PolicySettings,
    RunConfig,
    Seeds,
    Settings,
    StreamSettings,
    parse_option,
    shared_settings,
)

__all__ = [
    "BoundsConfig",
    "CompareConfig",
    "LearningSettings",
    "PolicySettings",
    "RunConfig",
    "Seeds",
    "Settings",
    "StreamSettings",
    "canonical",
    "folder_name",
    "parse_option",
    "shared_settings",
]
