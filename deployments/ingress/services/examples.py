"""The examples of ``/services/{model}`` in /docs."""

from typing import Any

from pydantic import BaseModel

_JOB_ID = "0d3f2f9e-5b0e-4a52-9f2b-6b1f3a4d8c11"

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
        "summary": "Two voices in turn",
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
    "message": f"job {_JOB_ID} made 1.90 s of audio at 24000 Hz",
}
DIALOGUE_WRITTEN = {
    "status": "success",
    "output_filepath": "door.mp3",
    "message": f"job {_JOB_ID} made 3.20 s of audio at 44100 Hz; voice 'men/bert.wav' is not there: the "
    "default voice speaks instead, in turn 2",
}
LOADED = {"status": "success", "message": "higgs (v2-3B) is loaded on 1 replica"}
UNLOADED = {
    "status": "success",
    "message": "higgs is not loaded any more: 7040 MB were given back by 1 replica",
}
HEALTH = {"status": "healthy", "model_loaded": True, "device": "cuda", "dependencies_available": True}
INFO = {"message": "Higgs Service", "model": "bosonai/higgs-audio-v2-generation-3B-base"}

_REFUSALS = {
    400: ("What was sent is wrong", "field 'text' is missing"),
    401: ("An API key is required", "an API key is required: send Authorization: Bearer agk_…, or x-api-key"),
    404: ("There is no such service", "there is no speech service 'whisper'; there are: dia, higgs, mock"),
    429: ("The queue is full; Retry-After says when to come back", "1000 jobs wait already"),
    503: ("The model cannot serve now", "replicas of model 'higgs' died or were not to be had in 4 tries"),
    504: ("It took too long", f"job {_JOB_ID} had not finished after 3600 s, and was canceled"),
}


class ServiceError(BaseModel):
    """The body of every answer that is not a success."""

    detail: str


def answers(example: Any) -> dict[int | str, Any]:
    """OpenAPI's ``responses`` of a route: its success with an example, and the errors that it may give."""
    good: dict[int | str, Any] = {200: {"content": {"application/json": {"example": example}}}}
    return good | {status: _refusal(*told) for status, told in _REFUSALS.items()} | _NO_OTHERS


def _refusal(description: str, detail: str) -> dict[str, Any]:
    content = {"application/json": {"example": {"detail": detail}}}
    return {"model": ServiceError, "description": description, "content": content}


_NO_OTHERS: dict[int | str, Any] = {"default": _refusal("Anything else", "something broke inside the server")}
"""FastAPI would add its own 422 where no default is given."""
