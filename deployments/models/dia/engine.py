"""A loaded Dia: from a script, and what its speakers sound like, to one recording."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deployments.models.base import Samples
from deployments.models.kit.seeding import seeded


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; the names are those of transformers' `generate`.

    A step is a frame of the codec, 1/86 s. The last 16 make no sound of their own: the end token, and what
    the other eight codebooks are behind the first.
    """

    max_new_tokens: int
    temperature: float
    """At least 1: Dia takes less for 1."""
    top_p: float
    top_k: int
    """At least 5: four tokens of most codebooks are never spoken, and one that is must be left."""
    guidance_scale: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording: mono ``[frames]`` within -1..1, where the codec's last layer is a tanh."""

    samples: Samples
    ended: bool
    """Whether the model came to an end; else it was cut off at ``max_new_tokens``."""


class DiaEngine:
    """Weights and codec, and the processor between text, audio and tokens.

    The processor is made by hand: the published one's configuration says where its codec was on the disk of
    who published it.

    Args:
        model: transformers' `DiaForConditionalGeneration`.
        codec: transformers' `DacModel` for 44.1 kHz, in float32.
    """

    def __init__(self, model: Any, codec: Any) -> None:
        import transformers as hf

        self.sample_rate = int(codec.config.sampling_rate)
        self.frame_samples = int(codec.config.hop_length)
        self.model = model
        features = hf.DiaFeatureExtractor(sampling_rate=self.sample_rate, hop_length=self.frame_samples)
        self.processor = hf.DiaProcessor(features, hf.DiaTokenizer(max_length=None), codec)

    @classmethod
    def from_folders(cls, weights: Path, codec: Path, device: str) -> "DiaEngine":
        """Load both checkpoints: in half precision on a GPU, but for the codec, which is small."""
        import torch
        import transformers as hf

        model = hf.DiaForConditionalGeneration.from_pretrained(weights, dtype=_precision(device))
        dac = hf.DacModel.from_pretrained(codec, dtype=torch.float32)
        return cls(model.eval().to(device), dac.eval().to(device))

    def steps(self, samples: Samples) -> int:
        """How many steps a recording takes as an audio prompt."""
        return -(-len(samples) // self.frame_samples)

    def speak(
        self,
        script: str,
        prompt: Samples,
        sampling: Sampling,
        *,
        seed: int | None,
        report: Callable[[float], None],
    ) -> Spoken:
        """Speak a script, the same way each time for the same seed.

        Args:
            script: with ``[S1]`` and ``[S2]`` before the words of each speaker; first those of the prompt.
            prompt: what was said before, mono ``[frames]`` at `sample_rate`, possibly none; the recording
                goes on from there.
            sampling: how tokens are drawn.
            seed: of torch's global generator, which is left as it was; a random one if None.
            report: called after each step with the fraction of `Sampling.max_new_tokens`; may raise.
        """
        import torch

        inputs = self._inputs(script, prompt)
        known = self.processor.get_audio_prompt_len(inputs["decoder_attention_mask"])

        def after_step(tokens: Any, scores: Any, **_: Any) -> Any:
            report((tokens.shape[1] - known) / sampling.max_new_tokens)
            return tokens.new_zeros(len(tokens), dtype=torch.bool)

        with torch.inference_mode():
            with seeded(seed, self.model.device):
                tokens = self.model.generate(
                    **inputs,
                    **asdict(sampling),
                    do_sample=True,
                    min_new_tokens=1,  # the end token alone would be a recording of nothing
                    stopping_criteria=[after_step],
                )
            samples = self.processor.decode(tokens, audio_prompt_len=known).numpy()
        return Spoken(samples, ended=tokens.shape[1] < known + sampling.max_new_tokens)

    def check(self) -> None:
        """One pass over a word; raise if what comes out is not a number."""
        import torch

        with torch.inference_mode():
            if not self.model(**self._inputs("[S1] One.", np.zeros(0, np.float32))).logits.isfinite().all():
                raise RuntimeError("Dia's logits are not finite")

    def _inputs(self, script: str, prompt: Samples) -> Any:
        given = {"audio": [prompt], "sampling_rate": self.sample_rate} if len(prompt) else {}
        inputs = self.processor(text=[script], padding=True, return_tensors="pt", **given)
        return inputs.to(self.model.device)


def _precision(device: str) -> Any:
    import torch

    if device != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
