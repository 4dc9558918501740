"""The folder of this checkout; kernel.config.settings has it too, but is slow to import."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
