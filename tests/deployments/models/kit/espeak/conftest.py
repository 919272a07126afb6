"""The fixtures of eSpeak NG."""

from tests.support.espeak import engine, program, speak

__all__ = ["engine", "program", "speak"]
