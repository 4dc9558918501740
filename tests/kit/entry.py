"""The command line with further features: those of the folder that EXTRA_FEATURES names.

Run by tests as a program, so that real processes have jobs and cached reads that only tests want.
"""

import os

import features
from cli import main

if extra := os.environ.get("EXTRA_FEATURES"):
    features.__path__.append(extra)
main()
