"""Measurements on a GPU that is there for minutes only; see benchmarks/README.md."""
