"""A loaded Chatterbox: from text, and a voice to speak with, to audio with a watermark."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from deployments.audio.loudness import prevent_clipping
from deployments.models.base import Samples
from deployments.models.chatterbox.parameters import ChatterboxParameters
from deployments.models.kit.speaking import Speech, expected_frames

UNGUIDED = sys.float_info.min
"""Taken for a ``cfg_weight`` of 0, with which the package fails: it makes one row of text where it has two of
all else. A token's score is ``cond + w * (cond - uncond)``, and this w is 0 in the model's precision."""

SHARE_OF_TOKENS = 0.9
"""Of the time that speech takes; the rest is making sound of them."""
FLOW_STEPS = 10
"""In which noise becomes a spectrogram, each with one call of the layer that reads the time."""


class ChatterboxEngine:
    """Resemble AI's `ChatterboxTTS`, taken apart where its `generate` leaves no choice: the number of tokens,
    guidance of 0, progress, the watermark. What it makes of the same numbers is the same.

    One run at a time: the package keeps what it hears of a voice in itself.

    Args:
        tts: the package's `ChatterboxTTS`, with the voice that comes with its checkpoint.
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

    def hear(self, samples: Samples) -> Any:
        """The voice in a recording, for `speak`.

        Of its first 6 s the model takes the way of speaking, of its first 10 s the sound, and of all the
        speaker.

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
        """Speak a text, drawing from torch's own generator.

        Args:
            text: of at most 2048 tokens.
            voice: from `hear`, or `default_voice`.
            parameters: as they can be followed.
            report: called with the progress, 0..1, after each step; may raise to end it.
        """
        import torch

        expected = min(expected_frames(text), parameters.max_new_tokens)

        def after_token(number: int) -> None:
            report(SHARE_OF_TOKENS * min(1.0, number / expected))

        def after_flow_step(number: int) -> None:
            report(SHARE_OF_TOKENS + (1 - SHARE_OF_TOKENS) * number / FLOW_STEPS)

        with torch.inference_mode():
            with _each_token(after_token):
                tokens = self._tokens(text, voice, parameters)
            end = self.tts.t3.hp.stop_speech_token
            with _each_call(self.tts.s3gen.flow.decoder.estimator.time_mlp, after_flow_step):
                samples = self._sound(tokens, voice)
            if not parameters.disable_watermark and self.has_watermark:
                samples = self.tts.watermarker.apply_watermark(samples, sample_rate=self.sample_rate)
        return Speech(prevent_clipping(samples), complete=int(tokens[-1]) == end)

    def check(self) -> None:
        """One pass over two tokens of text; raise if what comes out is not a number."""
        import torch

        t3 = self.tts.t3
        text = torch.tensor([[t3.hp.start_text_token, t3.hp.stop_text_token]], device=self.device)
        speech = torch.tensor([[t3.hp.start_speech_token]], device=self.device)
        with torch.inference_mode():
            embedded, _ = t3.prepare_input_embeds(
                t3_cond=self._manner(self.default_voice, 0.5), text_tokens=text, speech_tokens=speech
            )
            scores = t3.speech_head(t3.tfmr(inputs_embeds=embedded)[0])
        if not scores.isfinite().all():
            raise RuntimeError("Chatterbox's scores are not finite")

    def _tokens(self, text: str, voice: Any, parameters: ChatterboxParameters) -> Any:
        """Tokens ``[number]`` of speech, the mark of its end among them if it was reached."""
        from torch.nn import functional

        from chatterbox.tts import punc_norm

        t3 = self.tts.t3
        row = self.tts.tokenizer.text_to_tokens(punc_norm(text))
        row = functional.pad(row, (1, 0), value=t3.hp.start_text_token)
        row = functional.pad(row, (0, 1), value=t3.hp.stop_text_token)
        return t3.inference(
            t3_cond=self._manner(voice, parameters.exaggeration),
            text_tokens=row.repeat(2, 1).to(self.device),  # with and without guidance
            cfg_weight=parameters.cfg_weight or UNGUIDED,
            **parameters.model_dump(
                include={"max_new_tokens", "temperature", "top_p", "min_p", "repetition_penalty"}
            ),
        )[0]

    def _manner(self, voice: Any, exaggeration: float) -> Any:
        """How a voice speaks, with some emotion. Made anew each time: the package leaves its marks on it."""
        import torch

        from chatterbox.models.t3.modules.cond_enc import T3Cond

        return T3Cond(
            speaker_emb=voice.t3.speaker_emb,
            cond_prompt_speech_tokens=voice.t3.cond_prompt_speech_tokens,
            emotion_adv=exaggeration * torch.ones(1, 1, 1),
        ).to(device=self.device)

    def _sound(self, tokens: Any, voice: Any) -> Samples:
        from chatterbox.models.s3tokenizer import S3_TOKEN_RATE, SPEECH_VOCAB_SIZE

        audible = tokens[tokens < SPEECH_VOCAB_SIZE]
        if not len(audible):  # it had nothing to say
            return np.zeros(self.sample_rate // S3_TOKEN_RATE, np.float32)
        waves, _ = self.tts.s3gen.inference(speech_tokens=audible, ref_dict=dict(voice.gen))
        samples: Samples = waves[0].cpu().numpy()
        return samples


def load_engine(folder: Path, device: str, *, tiny: bool = False) -> ChatterboxEngine:
    """The engine of a checkpoint: of the published one, or of one that is built of `reduced` networks."""
    from chatterbox.tts import ChatterboxTTS
    from deployments.models.chatterbox.tiny import reduced

    _spare_watermark()
    with reduced() if tiny else nullcontext():
        return ChatterboxEngine(ChatterboxTTS.from_local(folder, device))


def _spare_watermark() -> None:
    """Let the package load where the watermark is unavailable: it does not look whether it is."""
    import perth

    if perth.PerthImplicitWatermarker is None:
        perth.PerthImplicitWatermarker = perth.DummyWatermarker


@contextmanager
def _each_token(report: Callable[[int], None]) -> Iterator[None]:
    """Have `report` called before each token with its number: the package counts them by a progress bar.

    That is a global of its module. `seeded` lets only one caller at a time get here.
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
def _each_call(layer: Any, report: Callable[[int], None]) -> Iterator[None]:
    """Have `report` called before each call of a layer, with the number of calls before."""
    calls = iter(range(sys.maxsize))
    with layer.register_forward_pre_hook(lambda *_: report(next(calls))):
        yield
