"""`python -m world_models`."""

from world_models.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
