"""``python -m lba_cli`` is the ``lba`` command (what ``torchrun -m`` needs)."""

from lba_cli.cli.app import main

if __name__ == "__main__":
    main()
