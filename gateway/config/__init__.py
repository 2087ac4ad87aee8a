"""The configuration: what can be set, where it is read from, and what is wrong with it."""

from gateway.config.loading import load
from gateway.config.placement import Placement, parse_placement
from gateway.config.problems import ConfigError, Problem
from gateway.config.settings import (
    CorsSettings,
    HostSettings,
    ImageSettings,
    KeySettings,
    ModelSettings,
    Settings,
    Timeouts,
)

__all__ = [
    "ConfigError",
    "CorsSettings",
    "HostSettings",
    "ImageSettings",
    "KeySettings",
    "ModelSettings",
    "Placement",
    "Problem",
    "Settings",
    "Timeouts",
    "load",
    "parse_placement",
]
