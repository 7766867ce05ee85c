"""``python -m hostmod`` is the command ``hostmod``."""

from hostmod.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
