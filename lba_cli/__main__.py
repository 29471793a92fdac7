"""Let ``python -m lba_cli`` run the ``lba`` command, as ``torchrun -m`` requires."""

import os
import sys


def main() -> None:
    """Run the command. Ctrl-C during the imports exits as quietly as it does later."""
    if sys.platform == "darwin":  # PyTorch reads this on import, and lets the CPU compute what Apple's GPU can't
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    try:
        from lba_cli.cli.app import app
        from lba_cli.cli.streams import write_all_characters

        write_all_characters()
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
