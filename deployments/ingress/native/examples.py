"""Examples of the native API in /docs: one transcription and one spoken sentence."""

from typing import Any

_BASE = "http://127.0.0.1:8000"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_JOB_ID = "0d3f2f9e-5b0e-4a52-9f2b-6b1f3a4d8c11"
_JOB_URL = f"{_BASE}/v1/jobs/{_JOB_ID}"

FILE: dict[str, Any] = {
    "id": "file_5f0c6f0b8f6e4b7f9a57c1d2e3f4a5b6",
    "name": "talk.mp3",
    "media_type": "audio/mpeg",
    "bytes": 176_512,
    "sha256": _SHA256,
    "url": f"{_BASE}/v1/files/file_5f0c6f0b8f6e4b7f9a57c1d2e3f4a5b6/content",
    "created_at": "2026-01-05T09:30:00Z",
    "duration": 11.0,
    "sample_rate": 44100,
    "channels": 1,
    "offset": 0.0,
    "track": 1,
    "notes": [],
}
ARTIFACT: dict[str, Any] = FILE | {
    "id": "art_1b2c3d4e5f60718293a4b5c6d7e8f901",
    "name": "speech.wav",
    "media_type": "audio/wav",
    "url": f"{_BASE}/v1/artifacts/art_1b2c3d4e5f60718293a4b5c6d7e8f901/content",
    "duration": 1.6,
    "sample_rate": 22050,
    "job_id": _JOB_ID,
    "task": "speak",
    "model": "espeak",
    "variant": "default",
    "weights": "none",
    "creator": "docs",
    "tags": ["greeting"],
    "parameters": {"text": "Hello there.", "voice": "en-us"},
}
QUEUED: dict[str, Any] = {
    "id": _JOB_ID,
    "task": "transcribe",
    "model": "whisper",
    "variant": "tiny",
    "status": "queued",
    "progress": 0.0,
    "created_at": "2026-01-05T09:30:01Z",
    "artifacts": [],
    "attempts": 0,
    "priority": 5,
    "urls": {"self": _JOB_URL, "events": f"{_JOB_URL}/events", "cancel": f"{_JOB_URL}/cancel"},
}
RUNNING: dict[str, Any] = QUEUED | {
    "status": "running",
    "progress": 0.42,
    "stage": "decoding",
    "eta_seconds": 1.8,
    "started_at": "2026-01-05T09:30:02Z",
    "attempts": 1,
}
CANCELED: dict[str, Any] = QUEUED | {"status": "canceled", "finished_at": "2026-01-05T09:30:03Z"}
SUCCEEDED: dict[str, Any] = RUNNING | {
    "status": "succeeded",
    "progress": 1.0,
    "stage": None,
    "eta_seconds": None,
    "finished_at": "2026-01-05T09:30:05Z",
    "weights": "pretrained",
    "result": {
        "task": "transcribe",
        "text": "And so, my fellow Americans, ask not what your country can do for you.",
        "language": "en",
        "duration": 11.0,
        "segments": [
            {"id": 0, "start": 0.0, "end": 7.6, "text": "And so, my fellow Americans, ask not"},
            {"id": 1, "start": 7.6, "end": 11.0, "text": " what your country can do for you."},
        ],
    },
}
JOBS = {"object": "list", "data": [SUCCEEDED], "next_cursor": None}
ARTIFACTS = {"object": "list", "data": [ARTIFACT], "next_cursor": None}
EVENTS = (
    "id: 0\nevent: started\n"
    f'data: {{"id": "0", "type": "started", "job_id": "{_JOB_ID}", "attempt": 1}}\n\n'
    "id: 1\nevent: progress\n"
    f'data: {{"id": "1", "type": "progress", "job_id": "{_JOB_ID}", "progress": 0.42}}\n\n'
    "id: final\nevent: succeeded\n"
    f'data: {{"id": "final", "type": "succeeded", "job_id": "{_JOB_ID}", "job": {{}}}}\n\n'
)
REPLICA: dict[str, Any] = {
    "id": "whisper#k3v9",
    "device": "cpu",
    "memory_bytes": 612_368_384,
    "memory_limit_bytes": None,
    "ongoing": 1,
    "loaded": [
        {"variant": "tiny", "weights": "pretrained", "bytes": 151_060_480, "users": 1, "idle_seconds": 0.0}
    ],
}
MODEL: dict[str, Any] = {
    "id": "whisper",
    "object": "model",
    "created": 1_767_605_400,
    "owned_by": "audiograph",
    "tasks": ["transcribe"],
    "variants": ["tiny", "base", "small", "medium", "large-v3", "turbo"],
    "default_variant": "tiny",
    "weights": "pretrained",
    "available": True,
    "voices": [],
    "replicas": [REPLICA],
}
VOICE: dict[str, Any] = {
    "id": "anna",
    "name": "anna",
    "source": "uploaded",
    "models": ["chatterbox", "dia", "higgs"],
    "transcript": "The sun rises in the east.",
    "artifact": ARTIFACT,
    "created_at": "2026-01-05T09:30:00Z",
}
VOICE_LIST: list[dict[str, Any]] = [
    {"id": "en-us", "name": "English (America)", "source": "built-in", "models": ["espeak"]},
    VOICE,
]
VOICES = {"object": "list", "data": VOICE_LIST}
MODELS = {"object": "list", "data": [MODEL]}
_CHANGE = {"replica": "whisper#k3v9", "changed": True, "variants": ["small"], "bytes": 967_065_600}
LOADED = {
    "model": "whisper",
    "action": "load",
    "variant": "small",
    "replicas": [_CHANGE],
    "bytes": 967_065_600,
}
UNLOADED = LOADED | {"action": "unload"}
HEALTH = {"status": "ok", "version": "0.1.0"}
READY = {
    "ready": True,
    "dependencies": [
        {"name": "database", "ok": True, "required": True},
        {"name": "artifacts", "ok": True, "required": True},
        {"name": "runner", "ok": True, "required": True},
        {"name": "model whisper", "ok": True, "required": False},
    ],
}
NOT_READY = {
    "ready": False,
    "dependencies": [
        {
            "name": "runner",
            "ok": False,
            "required": True,
            "message": "no job runner has sent a heartbeat within 10 s; jobs stay queued",
        }
    ],
}
METRICS = 'audiograph_jobs{status="running",task="transcribe"} 3.0\n'

_FILE_ID = FILE["id"]
REQUESTS: dict[str, Any] = {
    "transcribe": {
        "summary": "Transcribe an uploaded talk, with the time of every word",
        "value": {"task": "transcribe", "file": _FILE_ID, "word_timestamps": True},
    },
    "separate": {
        "summary": "Split a song into vocals and the rest",
        "value": {"task": "separate", "file": _FILE_ID, "model": "demucs", "two_stems": "vocals"},
    },
    "generate_music": {
        "summary": "Generate ten seconds of music",
        "value": {"task": "generate_music", "prompt": "warm lo-fi piano, vinyl crackle", "duration": 10},
    },
    "speak": {
        "summary": "Speak a sentence",
        "value": {"task": "speak", "text": "Hello there.", "voice": "en-us", "tags": ["greeting"]},
    },
    "dialogue": {
        "summary": "Speak a dialogue of two voices",
        "value": {"task": "dialogue", "turns": [{"text": "Ready?"}, {"text": "Ready!", "voice": "en-gb"}]},
    },
    "analyze_pitch": {
        "summary": "Find the key of a song",
        "value": {"task": "analyze_pitch", "file": _FILE_ID},
    },
}
