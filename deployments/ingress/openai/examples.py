"""Examples of OpenAI's routes in /docs."""

from typing import Any

SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "mp3"}
VOICES: dict[str, Any] = {
    "voices": [{"id": "en-us", "name": "English (America)", "source": "built-in", "models": ["espeak"]}]
}
