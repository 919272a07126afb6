"""Speech while it is made: a text's pieces one after the other, joined and encoded."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import InternalError
from audiograph.schemas import SpeakRequest
from deployments.audio.encoder import SoundFormat, StreamEncoder, encoded
from deployments.audio.fades import faded, pause
from deployments.audio.loudness import within_full_scale
from deployments.ingress.direct import DirectModels, Spoken
from deployments.threads import Threads

THREADS = Threads("speech-encoder", 4)
"""One second of speech is encoded in a few milliseconds."""


@dataclass(frozen=True, slots=True)
class SpeechPart:
    """What can be sent as soon as one more piece has been spoken."""

    content: bytes
    seconds: float = 0.0
    """Of sound that went in, the pause before it included."""
    notes: Sequence[str] = ()
    weights: str = "none"


Parts = AsyncGenerator[SpeechPart, None]


async def speech(
    models: DirectModels, request: SpeakRequest, texts: Sequence[str], sound_format: SoundFormat
) -> Parts:
    """Speak the pieces of a text, each as soon as the one before it has been spoken; one of them at least.

    A single one comes as a whole file; of several, nobody knows how long they will be together.

    Raises:
        AudiographError: the model refused or failed; what was given before is then not all.
    """
    first = await models.speak(request.model_copy(update={"text": texts[0]}))
    rate = first.sample_rate
    told = SpeechPart(b"", len(first.samples) / rate, first.result.notes, first.weights)
    if len(texts) == 1:
        yield replace(told, content=await THREADS.run(encoded, _fit(first), sound_format, rate))
        return
    encoder = await THREADS.run(StreamEncoder, sound_format, rate)
    yield replace(told, content=await THREADS.run(encoder.encode, _fit(first)))
    for text in texts[1:]:
        spoken = await models.speak(request.model_copy(update={"text": text}))
        samples = np.concatenate([pause(rate), _fit(_at(spoken, rate))])
        yield SpeechPart(await THREADS.run(encoder.encode, samples), len(samples) / rate)
    yield SpeechPart(await THREADS.run(encoder.finish))


def tokens(text: str, seconds: float) -> dict[str, int]:
    """What OpenAI would charge for, more or less: a token for four characters, and for 1/20 s of speech."""
    heard, spoken = math.ceil(len(text) / 4), math.ceil(seconds * 20)
    return {"input_tokens": heard, "output_tokens": spoken, "total_tokens": heard + spoken}


def _fit(spoken: Spoken) -> NDArray[np.float32]:
    """Without clicks at its ends, and without clipping."""
    return within_full_scale(faded(spoken.samples, spoken.sample_rate))


def _at(spoken: Spoken, sample_rate: int) -> Spoken:
    if spoken.sample_rate != sample_rate:
        raise InternalError(f"the model went from {sample_rate} to {spoken.sample_rate} Hz within one answer")
    return spoken
