"""The command line with the soak's slice alone: `python -m bench.soak.entry worker`."""

from pathlib import Path

import features
from cli import main

# This must run before discovery, which then finds no slice of the application: their jobs need a
# longer visibility timeout.
features.__path__ = [str(Path(__file__).with_name("slices"))]

if __name__ == "__main__":
    main()
