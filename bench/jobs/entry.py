"""The command line with the benchmark's mail job alone: `python -m bench.jobs.entry worker`."""

from pathlib import Path

import features
from cli import main

features.__path__ = [str(Path(__file__).with_name("slices"))]  # before discovery

if __name__ == "__main__":
    main()
