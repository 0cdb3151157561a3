"""The configuration of a run: its settings, their checks, and the parts that they name."""

from experiments.config.settings import (
    LearningSettings,
    PolicySettings,
    RunConfig,
    Seeds,
    Settings,
    StreamSettings,
    canonical,
    folder_name,
    parse_option,
    shared_settings,
)

__all__ = [
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
