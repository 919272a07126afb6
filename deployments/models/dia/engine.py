"""A loaded Dia: turns a script, and recordings of its speakers, into one recording."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.models.base import Samples
from deployments.models.kit.seeding import seeded
from deployments.models.kit.speaking import Speech

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """Arguments of transformers' `generate`, under its names.

    A step is a frame of the codec, 1/86 s. The last 16 steps make no sound: one is the end token, and for 15
    more the delayed codebooks catch up with the first.
    """

    max_new_tokens: int
    temperature: float
    """At least 1, the minimum of Dia."""
    top_p: float
    top_k: int
    """At least 5: most codebooks have four control tokens that are masked, and one token must remain."""
    guidance_scale: float


class DiaEngine:
    """Weights and codec, and the processor that converts text and audio to tokens, and tokens to audio.

    The processor is built here, because the published one refers to its codec by a path on its author's disk.

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
        """Load both checkpoints: on a GPU the model in half precision, and the small codec in float32."""
        import torch
        import transformers as hf

        model = hf.DiaForConditionalGeneration.from_pretrained(weights, dtype=_precision(device))
        dac = hf.DacModel.from_pretrained(codec, dtype=torch.float32)
        return cls(model.eval().to(device), dac.eval().to(device))

    def count_steps(self, samples: Samples) -> int:
        """Return the number of steps that a recording ``[frames]`` takes as an audio prompt."""
        return -(-len(samples) // self.frame_samples)

    def speak(
        self,
        script: str,
        prompt: Samples,
        sampling: Sampling,
        *,
        seed: int | None,
        report: Callable[[float], None],
    ) -> Speech:
        """Speak a script; with the same seed, the speech is the same.

        The codec's last layer is a tanh, so the samples are within -1..1.

        Args:
            script: with ``[S1]`` and ``[S2]`` before the lines of each speaker, beginning with the transcript
                of the prompt.
            prompt: a recording that the speech continues, mono ``[frames]`` at `sample_rate`; may be empty.
            sampling: of the tokens.
            seed: of torch's global generator, which is restored afterwards; a random one if None.
            report: called after each step with the fraction of `Sampling.max_new_tokens`; it may raise to end
                the run.
        """
        import torch

        inputs = self._inputs(script, prompt)
        prompt_length = self.processor.get_audio_prompt_len(inputs["decoder_attention_mask"])

        def after_step(tokens: "Tensor", scores: "Tensor", **_: Any) -> "Tensor":
            report((tokens.shape[1] - prompt_length) / sampling.max_new_tokens)
            return tokens.new_zeros(len(tokens), dtype=torch.bool)

        with torch.inference_mode():
            with seeded(seed, self.model.device):
                tokens = self.model.generate(
                    **inputs,
                    **asdict(sampling),
                    do_sample=True,
                    min_new_tokens=1,  # the end token alone would be an empty recording
                    stopping_criteria=[after_step],
                )
            samples = self.processor.decode(tokens, audio_prompt_len=prompt_length).numpy()
        return Speech(samples, complete=tokens.shape[1] < prompt_length + sampling.max_new_tokens)

    def check(self) -> None:
        """Run one pass over a word; raise RuntimeError if the logits are not finite."""
        import torch

        with torch.inference_mode():
            if not self.model(**self._inputs("[S1] One.", np.zeros(0, np.float32))).logits.isfinite().all():
                raise RuntimeError("Dia's logits are not finite")

    def _inputs(self, script: str, prompt: Samples) -> Any:
        audio = {"audio": [prompt], "sampling_rate": self.sample_rate} if len(prompt) else {}
        inputs = self.processor(text=[script], padding=True, return_tensors="pt", **audio)
        return inputs.to(self.model.device)


def _precision(device: str) -> "torch.dtype":
    import torch

    if device != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
