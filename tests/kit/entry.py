"""The command line with the kit's slices in place of the application's.

Tests run it as a program, so that real processes have jobs and cached reads that only tests want.
"""

from pathlib import Path

import features
from cli import main

# Before anything is discovered; uvicorn's workers read this module anew.
features.__path__ = [str(Path(__file__).with_name("slices"))]

if __name__ == "__main__":
    main()
