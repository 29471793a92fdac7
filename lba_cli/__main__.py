"""The ``lba`` command, also as ``python -m lba_cli`` (what ``torchrun -m`` needs)."""

import sys


def main() -> None:
    """Run the command; Ctrl-C while it starts ends it as quietly as later on."""
    try:
        from lba_cli.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
