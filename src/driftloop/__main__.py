"""`python -m driftloop` is the `driftloop` command."""

from driftloop.cli import main

if __name__ == "__main__":
    main()
