"""`./app api` with one more slice, the benchmark's own: `python -m bench.entry api --port N`.

The application's slices are included, so that routing takes as long as in production.
"""

from pathlib import Path

import features
from cli import main

features.__path__.append(str(Path(__file__).with_name("slices")))

if __name__ == "__main__":
    main()
