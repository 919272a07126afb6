"""Streams speech: speaks the pieces of a text one after the other, joins and encodes them."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import InternalError
from audiograph.schemas import SpeakRequest, Weights
from deployments.audio.encoder import SoundFormat, StreamEncoder, encode_to_bytes
from deployments.audio.fades import fade, silence
from deployments.audio.loudness import prevent_clipping
from deployments.ingress.direct import DirectModels, Speech
from deployments.threads import Threads

THREADS = Threads("speech-encoder", 4)
"""One second of speech is encoded in a few milliseconds."""


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """Encoded speech that can be sent at once."""

    content: bytes
    seconds: float = 0.0
    """Duration of the audio that was encoded, with the pause before it."""
    notes: Sequence[str] = ()
    weights: Weights = "none"


SpeechChunks = AsyncGenerator[SpeechChunk, None]


async def stream_speech(
    models: DirectModels, request: SpeakRequest, texts: Sequence[str], sound_format: SoundFormat
) -> SpeechChunks:
    """Speak the pieces of a text in turn and yield each as soon as it is encoded.

    A single piece is encoded as a whole file. The header of a stream of several cannot give their duration.

    Raises:
        AudiographError: the model refused or failed; the chunks before are then incomplete.
    """
    first = await models.speak(request.model_copy(update={"text": texts[0]}))
    rate = first.sample_rate
    chunk = SpeechChunk(b"", len(first.samples) / rate, first.result.notes, first.weights)
    if len(texts) == 1:
        content = await THREADS.run(encode_to_bytes, _normalized(first), sound_format, rate)
        yield replace(chunk, content=content)
        return
    encoder = await THREADS.run(StreamEncoder, sound_format, rate)
    yield replace(chunk, content=await THREADS.run(encoder.encode, _normalized(first)))
    for text in texts[1:]:
        speech = await models.speak(request.model_copy(update={"text": text}))
        _check_rate(speech, rate)
        samples = np.concatenate([silence(rate), _normalized(speech)])
        yield SpeechChunk(await THREADS.run(encoder.encode, samples), len(samples) / rate)
    yield SpeechChunk(await THREADS.run(encoder.finish))


def usage(text: str, seconds: float) -> dict[str, int]:
    """Estimate OpenAI's token counts: one token per four characters, and per 1/20 s of speech."""
    text_tokens, audio_tokens = math.ceil(len(text) / 4), math.ceil(seconds * 20)
    return {
        "input_tokens": text_tokens,
        "output_tokens": audio_tokens,
        "total_tokens": text_tokens + audio_tokens,
    }


def _normalized(speech: Speech) -> NDArray[np.float32]:
    """Fade the ends against clicks, and scale down samples beyond full scale."""
    return prevent_clipping(fade(speech.samples, speech.sample_rate))


def _check_rate(speech: Speech, sample_rate: int) -> None:
    if speech.sample_rate != sample_rate:
        raise InternalError(
            f"the model changed its sample rate from {sample_rate} to {speech.sample_rate} Hz within one text"
        )
