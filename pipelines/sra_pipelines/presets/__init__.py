"""Presets: the prompt, retrieval, splitting and checks for a kind of document, in short TOML or YAML files."""

from sra_pipelines.presets.preset import CHECKS, Preset
from sra_pipelines.presets.preset_files import load_preset, preset_names, preset_path

__all__ = ["CHECKS", "Preset", "load_preset", "preset_names", "preset_path"]
