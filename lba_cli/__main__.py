"""Run the ``lba`` command with ``python -m lba_cli``, which ``torchrun -m`` needs."""

import sys


def main() -> None:
    """Run the command. Ctrl-C during the imports exits as quietly as it does later."""
    try:
        from lba_cli.cli.app import app
        from lba_cli.cli.streams import write_all_characters

        write_all_characters()
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
