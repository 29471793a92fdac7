"""A listener that keeps what it hears, for tests of messages and warnings."""

from lba_cli.reporting import Silent


class Recorder(Silent):
    def __init__(self):
        self.lines, self.warnings = [], []

    def say(self, message):
        self.lines.append(message)

    def warn(self, message):
        self.warnings.append(message)
