"""Slow and obvious versions of the package's computations, for tests to compare with."""
