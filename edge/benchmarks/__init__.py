"""Benchmarks of the device's own code: printed, never asserted. Run one with ``python -m edge.benchmarks.<name>``."""
