"""One folder a use case; docs/ARCHITECTURE.md says how to add one by copying."""

APP_NAME = "Slices"
"""What the application calls itself where APP_NAME is not set; `./app rename` changes it."""

__version__ = "0.2.0"
"""The version of the application: of the package, of OpenAPI's `info`, and of the release's tag."""
