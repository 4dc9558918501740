"""The command line with the kit's slices instead of the application's.

Tests run it as a program, so that real processes have the jobs and cached reads of the kit.
"""

from pathlib import Path

import features
from cli import main

# This must run before discovery. Workers of uvicorn import this module again.
features.__path__ = [str(Path(__file__).with_name("slices"))]

if __name__ == "__main__":
    main()
