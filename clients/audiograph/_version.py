"""The version, in one place: the wheel, the User-Agent header and ``GET /health`` read it here."""

__version__ = "0.1.0"
