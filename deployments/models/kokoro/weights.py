"""The published graph and voices of Kokoro-82M, as kokoro-onnx released them."""

from deployments.models.weights.published import PublishedFile
from deployments.models.weights.sources import KOKORO_INT8, KOKORO_VOICES

RELEASE = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0"
LICENCE = "Apache-2.0"

GRAPH = PublishedFile(
    "kokoro/kokoro-v1.0.int8.onnx", f"{RELEASE}/kokoro-v1.0.int8.onnx", KOKORO_INT8, LICENCE
)
"""92 MB; its weights are 8-bit integers."""
VOICES = PublishedFile("kokoro/voices-v1.0.bin", f"{RELEASE}/voices-v1.0.bin", KOKORO_VOICES, LICENCE)
"""The styles of 54 voices, 28 MB."""
