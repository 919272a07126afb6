"""Tests; only tests/serve needs the packages, whose servers end with them."""
