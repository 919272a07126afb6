"""The published Whisper checkpoints, by OpenAI's own addresses and digests.

They are copied from ``whisper._MODELS``, whose import would load torch.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from deployments.models.weights.published import PublishedFile

SERVER = "https://openaipublic.azureedge.net/main/whisper/models"
DIGESTS: Mapping[str, str] = {
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
}
FILE_NAMES = {"turbo": "large-v3-turbo.pt"}
"""Names of files that are not the variant's."""


def checkpoint(variant: str) -> PublishedFile:
    """Return the published checkpoint of a variant, which may lie in openai-whisper's own cache."""
    digest, name = DIGESTS[variant], FILE_NAMES.get(variant, f"{variant}.pt")
    return PublishedFile(
        f"whisper/{name}", f"{SERVER}/{digest}/{name}", digest, "MIT", caches=(_whisper_cache(),)
    )


def _whisper_cache() -> Path:
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
