"""Where this checkout lies; kernel.config.settings knows too, but is slow to import."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
