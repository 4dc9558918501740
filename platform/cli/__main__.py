"""`python -m cli`, which is what `./app` runs."""

from cli import main

main()
