"""One folder a use case; docs/ARCHITECTURE.md says how to add one by copying."""

APP_NAME = "Slices"
"""What the application calls itself where APP_NAME is not set; `./app rename` changes it."""
