"""Examples of ``/services/{model}`` in /docs."""

from typing import Any

JOB_ID = "0d3f2f9e-5b0e-4a52-9f2b-6b1f3a4d8c11"

SPEECH: dict[str, Any] = {
    "speech": {
        "summary": "Speak a sentence",
        "value": {
            "text": "The sun rises in the east.",
            "output_filepath": "morning/sun.wav",
            "parameters": {"seed": 7, "temperature": 0.5},
        },
    }
}
DIALOGUE: dict[str, Any] = {
    "dialogue": {
        "summary": "Speak a dialogue of two voices",
        "value": {
            "inputs": [
                {"text": "Who is there?", "voice_id": "anna.wav"},
                {"text": "Only me.", "voice_id": "men/bert.wav"},
            ],
            "output_filepath": "door.mp3",
            "parameters": {"seed": 7},
        },
    }
}
SPEECH_WRITTEN = {
    "status": "success",
    "output_filepath": "morning/sun.wav",
    "message": f"job {JOB_ID} generated 1.90 s of audio at 24000 Hz",
}
DIALOGUE_WRITTEN = {
    "status": "success",
    "output_filepath": "door.mp3",
    "message": f"job {JOB_ID} generated 3.20 s of audio at 44100 Hz; voice 'men/bert.wav' not found; "
    "using the default voice in turn 2",
}
LOADED = {"status": "success", "message": "higgs (v2-3B) is loaded on 1 replica"}
UNLOADED = {"status": "success", "message": "higgs is unloaded: 1 replica freed 7040 MB"}
HEALTH = {"status": "healthy", "model_loaded": True, "device": "cuda", "dependencies_available": True}
INFO = {"message": "Higgs Service", "model": "bosonai/higgs-audio-v2-generation-3B-base"}
