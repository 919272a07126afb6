"""A loaded Chatterbox: turns a text and a voice into speech with a watermark."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from deployments.audio.loudness import prevent_clipping
from deployments.models.base import Samples
from deployments.models.chatterbox.parameters import ChatterboxParameters
from deployments.models.kit.speaking import Speech, expected_frames

if TYPE_CHECKING:
    from torch import Tensor, nn

UNGUIDED = sys.float_info.min
"""Replaces a ``cfg_weight`` of 0, with which the package fails: it then builds one row of text, but two of
everything else. A token's score is ``cond + w * (cond - uncond)``; in the model's precision this w is 0."""

TOKENS_SHARE = 0.9
"""Fraction of a run's time that generating tokens takes; decoding them into audio takes the rest."""
FLOW_STEPS = 10
"""Flow-matching steps from noise to a spectrogram; each calls the layer that embeds the time once."""


class ChatterboxEngine:
    """Runs the parts of Resemble AI's `ChatterboxTTS` one by one.

    Its `generate` has no choice of the number of tokens, of guidance 0, of progress and of the watermark.
    With equal random numbers the speech is equal to that of `generate`. One run at a time: the package keeps
    the encoded voice in an attribute.

    Args:
        tts: the package's `ChatterboxTTS`, with the checkpoint's own voice.
    """

    def __init__(self, tts: Any) -> None:
        self.tts = tts
        self.sample_rate = int(tts.sr)
        self.device = tts.t3.device
        self.default_voice = tts.conds

    @property
    def has_watermark(self) -> bool:
        """Whether the watermark is available."""
        import perth

        return not isinstance(self.tts.watermarker, perth.DummyWatermarker)

    def encode_voice(self, samples: Samples) -> Any:
        """Encode the voice of a recording, for `speak`: the package's `Conditionals`.

        The first 6 s give the speaking style, the first 10 s the sound, and the whole recording the speaker.

        Args:
            samples: mono ``[frames]`` at `sample_rate`.
        """
        import torch

        recording = io.BytesIO()
        soundfile.write(recording, samples, self.sample_rate, format="WAV", subtype="FLOAT")
        recording.seek(0)
        with torch.inference_mode():
            self.tts.prepare_conditionals(recording)
        voice, self.tts.conds = self.tts.conds, self.default_voice
        return voice

    def speak(
        self,
        text: str,
        voice: Any,
        parameters: ChatterboxParameters,
        report: Callable[[float], None],
    ) -> Speech:
        """Speak a text, sampling with torch's global generator.

        Args:
            text: at most 2048 tokens.
            voice: from `encode_voice`, or `default_voice`.
            parameters: from `ChatterboxParameters.supported`.
            report: called with the progress, 0..1, after each step; it may raise to end the run.
        """
        import torch

        expected = min(expected_frames(text), parameters.max_new_tokens)

        def after_token(number: int) -> None:
            report(TOKENS_SHARE * min(1.0, number / expected))

        def after_flow_step(number: int) -> None:
            report(TOKENS_SHARE + (1 - TOKENS_SHARE) * number / FLOW_STEPS)

        with torch.inference_mode():
            with _each_token(after_token):
                tokens = self._tokens(text, voice, parameters)
            end = self.tts.t3.hp.stop_speech_token
            with _each_call(self.tts.s3gen.flow.decoder.estimator.time_mlp, after_flow_step):
                samples = self._decode(tokens, voice)
            if not parameters.disable_watermark and self.has_watermark:
                samples = self.tts.watermarker.apply_watermark(samples, sample_rate=self.sample_rate)
        return Speech(prevent_clipping(samples), complete=int(tokens[-1]) == end)

    def check(self) -> None:
        """Run one pass over two tokens of text; raise RuntimeError if the logits are not finite."""
        import torch

        t3 = self.tts.t3
        text = torch.tensor([[t3.hp.start_text_token, t3.hp.stop_text_token]], device=self.device)
        speech = torch.tensor([[t3.hp.start_speech_token]], device=self.device)
        with torch.inference_mode():
            embedded, _ = t3.prepare_input_embeds(
                t3_cond=self._style(self.default_voice, 0.5), text_tokens=text, speech_tokens=speech
            )
            logits = t3.speech_head(t3.tfmr(inputs_embeds=embedded)[0])
        if not logits.isfinite().all():
            raise RuntimeError("Chatterbox's logits are not finite")

    def _tokens(self, text: str, voice: Any, parameters: ChatterboxParameters) -> "Tensor":
        """Generate speech tokens ``[number]``, with the end token if the model reached it."""
        from torch.nn import functional

        from chatterbox.tts import punc_norm

        t3 = self.tts.t3
        row = self.tts.tokenizer.text_to_tokens(punc_norm(text))
        row = functional.pad(row, (1, 0), value=t3.hp.start_text_token)
        row = functional.pad(row, (0, 1), value=t3.hp.stop_text_token)
        tokens: Tensor = t3.inference(
            t3_cond=self._style(voice, parameters.exaggeration),
            text_tokens=row.repeat(2, 1).to(self.device),  # with and without guidance
            cfg_weight=parameters.cfg_weight or UNGUIDED,
            **parameters.model_dump(
                include={"max_new_tokens", "temperature", "top_p", "min_p", "repetition_penalty"}
            ),
        )[0]
        return tokens

    def _style(self, voice: Any, exaggeration: float) -> Any:
        """Build the conditions of the language model, a new object each time: the package modifies it."""
        import torch

        from chatterbox.models.t3.modules.cond_enc import T3Cond

        return T3Cond(
            speaker_emb=voice.t3.speaker_emb,
            cond_prompt_speech_tokens=voice.t3.cond_prompt_speech_tokens,
            emotion_adv=exaggeration * torch.ones(1, 1, 1),
        ).to(device=self.device)

    def _decode(self, tokens: "Tensor", voice: Any) -> Samples:
        """Decode speech tokens ``[number]`` into mono samples ``[frames]``."""
        from chatterbox.models.s3tokenizer import S3_TOKEN_RATE, SPEECH_VOCAB_SIZE

        audible = tokens[tokens < SPEECH_VOCAB_SIZE]
        if not len(audible):  # only control tokens
            return np.zeros(self.sample_rate // S3_TOKEN_RATE, np.float32)
        waves, _ = self.tts.s3gen.inference(speech_tokens=audible, ref_dict=dict(voice.gen))
        samples: Samples = waves[0].cpu().numpy()
        return samples


def load_engine(folder: Path, device: str, *, tiny: bool = False) -> ChatterboxEngine:
    """Load the engine of a published checkpoint, or of a tiny one, whose networks are `reduced`."""
    from chatterbox.tts import ChatterboxTTS
    from deployments.models.chatterbox.tiny import reduced

    _allow_missing_watermark()
    with reduced() if tiny else nullcontext():
        return ChatterboxEngine(ChatterboxTTS.from_local(folder, device))


def _allow_missing_watermark() -> None:
    """Let the package load where the watermark is unavailable, which it does not check itself."""
    import perth

    if perth.PerthImplicitWatermarker is None:
        perth.PerthImplicitWatermarker = perth.DummyWatermarker


@contextmanager
def _each_token(report: Callable[[int], None]) -> Iterator[None]:
    """Call `report` before each token with its number, in place of the package's progress bar.

    The bar is a global of the package's module; `seeded` admits only one caller at a time.
    """
    from chatterbox.models.t3 import t3

    def counted(numbers: Any, **_: Any) -> Iterator[int]:
        for number in numbers:
            report(number)
            yield number

    bar, t3.tqdm = t3.tqdm, counted
    try:
        yield
    finally:
        t3.tqdm = bar


@contextmanager
def _each_call(layer: "nn.Module", report: Callable[[int], None]) -> Iterator[None]:
    """Call `report` before each call of a layer, with the number of earlier calls."""
    calls = iter(range(sys.maxsize))
    with layer.register_forward_pre_hook(lambda *_: report(next(calls))):
        yield
