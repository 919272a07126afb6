"""Finds the published graph and voices of Kokoro-82M (Apache-2.0)."""

from pathlib import Path

from audiograph.errors import WeightsMissing
from deployments.models.base import LoadContext
from deployments.models.kit.weights import sha256

RELEASE = "https://github.com/thewh1teagle/kokoro-onnx/releases/tag/model-files-v1.0"
GRAPH = "kokoro-v1.0.int8.onnx"
VOICES = "voices-v1.0.bin"
SHA256 = {
    GRAPH: "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    VOICES: "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d",
}


def graph_path(context: LoadContext) -> Path:
    """Return the path of the graph, of 92 MB, with its published SHA-256.

    Raises:
        WeightsMissing: it is not there, or damaged.
    """
    return _verified(GRAPH, context)


def voices_path(context: LoadContext) -> Path:
    """Return the path of the 54 voices, of 28 MB, with their published SHA-256.

    Raises:
        WeightsMissing: they are not there, or damaged.
    """
    return _verified(VOICES, context)


def _verified(name: str, context: LoadContext) -> Path:
    path = context.work_dir / "kokoro" / name
    if not path.exists() or sha256(path) != SHA256[name]:
        state = "damaged" if path.exists() else "not there"
        raise WeightsMissing(
            f"kokoro: no pretrained weights. Looked for {path} ({state}). Put the file from {RELEASE} there, "
            "or set weights to auto or tiny for random ones.",
            details={"url": RELEASE, "looked_in": [str(path)]},
        )
    return path
