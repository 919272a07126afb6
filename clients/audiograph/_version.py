"""The version, read by the wheel's build, the User-Agent header and ``GET /health``."""

__version__ = "0.1.0"
