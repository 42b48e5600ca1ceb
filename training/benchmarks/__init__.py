"""Benchmarks of training: printed, never asserted. Run one with ``python -m training.benchmarks.<name>``."""
