"""A loaded MusicGen: encodes text and audio into conditions and codes, and decodes codes into audio."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.models.base import Samples
from deployments.models.musicgen.decoder import Conditions, Decoder
from deployments.models.musicgen.generator import Generator
from deployments.models.musicgen.melody import SAMPLE_RATE as MELODY_RATE
from deployments.models.musicgen.melody import pitch_classes

if TYPE_CHECKING:
    from torch import Tensor

MAX_TEXT_TOKENS = 256
CHUNK_FRAMES, SHARED_FRAMES = 1500, 50
"""The codec decodes long music in chunks of 30 s, with a crossfade over the 1 s that they share."""


class MusicEngine:
    """The weights, tokenizer and codec of one variant.

    Args:
        model: transformers' `MusicgenForConditionalGeneration`, or its melody variant.
        tokenizer: of its text encoder.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        config = model.config
        self.sample_rate = int(config.audio_encoder.sampling_rate)
        self.frame_rate = int(config.audio_encoder.frame_rate)
        self.frame_samples = self.sample_rate // self.frame_rate
        self.channels = int(config.decoder.audio_channels)
        self.follows_melody = hasattr(model, "audio_enc_to_dec_proj")
        self.model = model
        self.tokenizer = tokenizer
        self._device = model.device

    def generator(self, rows: int) -> Generator:
        """Build a generator of up to `rows` sequences at a time."""
        decoder = self.model.decoder
        # In stereo the codebooks of left and right alternate, and those of a pair share their delay.
        delays = [codebook // self.channels for codebook in range(decoder.num_codebooks)]
        return Generator(Decoder(decoder, rows), delays, padding=int(decoder.config.vocab_size))

    def text_tokens(self, text: str) -> list[int]:
        """Tokenize a text, without a limit of tokens."""
        tokens: list[int] = self.tokenizer(text, verbose=False)["input_ids"]
        return tokens

    def conditions(self, text: str, melody: Samples | None = None) -> Callable[[int], Conditions]:
        """Return a function from the first frame of a window to its conditions.

        Args:
            text: the description; empty for unconditional music.
            melody: float32 ``[frames]`` at 32 kHz, to follow; it repeats if it is shorter than the music.
        """
        hidden = self._encode_text(text) if text else None
        if not self.follows_melody:
            fixed = Conditions(text=hidden)
            return lambda start: fixed
        return lambda start: Conditions(prefix=self._prefix(hidden, melody, start / self.frame_rate))

    def encode(self, samples: Samples) -> "Tensor":
        """Encode audio ``[channels, frames]`` at `sample_rate` into codes ``[codebooks, frames]``."""
        import torch

        wave = torch.from_numpy(samples).to(self._device, self.model.dtype)
        sides = [self.model.audio_encoder.encode(side[None, None]).audio_codes[0, 0] for side in wave]
        return torch.stack(sides, dim=1).flatten(0, 1)

    def decode(self, codes: "Tensor") -> Samples:
        """Decode codes ``[codebooks, frames]`` into audio ``[channels, samples]`` within -1..1."""
        stride = CHUNK_FRAMES - SHARED_FRAMES
        chunks = [
            self._decode_chunk(codes[:, start : start + CHUNK_FRAMES])
            for start in range(0, max(1, codes.shape[1] - SHARED_FRAMES), stride)
        ]
        audio = chunks[0]
        shared = SHARED_FRAMES * self.frame_samples
        fade = np.linspace(0, 1, shared, dtype=np.float32)
        for chunk in chunks[1:]:
            audio[:, -shared:] = audio[:, -shared:] * (1 - fade) + chunk[:, :shared] * fade
            audio = np.concatenate([audio, chunk[:, shared:]], axis=1)
        return audio / max(1.0, float(np.abs(audio).max()))

    def check(self) -> None:
        """Run the decoder over one column; raise RuntimeError if its logits are not finite."""
        import torch

        decoder = self.model.decoder
        with torch.inference_mode():
            tokens = torch.full((decoder.num_codebooks, 1), decoder.config.vocab_size, device=self._device)
            if not Decoder(decoder, 1).prefill(0, Conditions(), tokens).isfinite().all():
                raise RuntimeError("the decoder's logits are not finite")

    def _decode_chunk(self, codes: "Tensor") -> Samples:
        sides = [codes[side :: self.channels] for side in range(self.channels)]
        waves = [self.model.audio_encoder.decode(side[None, None], [None]).audio_values[0] for side in sides]
        return np.concatenate([wave.float().cpu().numpy() for wave in waves])

    def _encode_text(self, text: str) -> "Tensor":
        """Encode a text into hidden states ``[tokens, hidden]`` of the decoder's size."""
        import torch

        tokens = torch.tensor([self.text_tokens(text)[:MAX_TEXT_TOKENS]], device=self._device)
        hidden: Tensor = self.model.text_encoder(input_ids=tokens).last_hidden_state[0]
        if hidden.shape[-1] != self.model.decoder.config.hidden_size:
            hidden = self.model.enc_to_dec_proj(hidden)
        return hidden

    def _prefix(self, text: "Tensor | None", melody: Samples | None, start: float) -> "Tensor":
        """Build the prefix of melody and text, conditional and unconditional: ``[2, frames, hidden]``."""
        import torch

        config = self.model.config
        silence = torch.zeros(1, 1, config.num_chroma)
        silence[..., 0] = 1
        features = silence if melody is None else pitch_classes(_window_of(melody, start))
        frames = config.chroma_length
        both = torch.cat([_repeated(part, frames) for part in (features, silence)])
        prefix: Tensor = self.model.audio_enc_to_dec_proj(both.to(self._device, self.model.dtype))
        if text is None:
            return prefix
        return torch.cat([prefix, torch.stack([text, torch.zeros_like(text)])], dim=1)


def _window_of(melody: Samples, start: float) -> Samples:
    """Cut 30 s of a melody from ``start`` seconds on; the melody repeats where it ends earlier."""
    first = int(start * MELODY_RATE)
    length = 30 * MELODY_RATE
    if first == 0:
        return melody[:length]  # like the model's authors, who repeat features and not samples
    return np.take(melody, np.arange(first, first + length), mode="wrap")


def _repeated(features: "Tensor", frames: int) -> "Tensor":
    times = -(-frames // features.shape[1])
    return features.repeat(1, times, 1)[:, :frames]
