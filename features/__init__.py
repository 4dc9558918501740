"""The slices: one folder for each use case. CONTRIBUTING.md says how to add one by copying."""

APP_NAME = "Slices"
"""The application's name if the setting APP_NAME is not set; `./app rename` changes it."""

__version__ = "0.2.0"
"""The version of the package, of OpenAPI's `info`, and of the release's tag."""
