"""The benchmark: `./app bench` measures servers side by side on a separate stack."""
