"""A loaded Higgs Audio v2: turns a text and a voice into speech."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.models.base import Samples
from deployments.models.higgs.codec import codec_class
from deployments.models.higgs.parameters import HiggsParameters
from deployments.models.higgs.text import plain
from deployments.models.kit.speaking import Speech

if TYPE_CHECKING:
    from torch import Tensor

INSTRUCTION = "Generate audio following instruction."
"""The system message of the model's authors (boson-ai/higgs-audio, ``examples/generation.py``)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording of the voice to clone."""

    samples: Samples
    """Mono ``[frames]`` at the engine's sample rate."""
    transcript: str
    """The words of the recording."""


class HiggsEngine:
    """Weights, chat template and codec.

    Args:
        model: transformers' `HiggsAudioV2ForConditionalGeneration`.
        processor: transformers' `HiggsAudioV2Processor`, with a codec.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        codec = processor.audio_tokenizer.config
        self.sample_rate = int(codec.sample_rate)
        self.frame_samples = int(codec.hop_length)
        self.model = model
        self.processor = processor
        self.device = model.device

    def speak(
        self,
        text: str,
        parameters: HiggsParameters,
        reference: Reference | None,
        report: Callable[[int], None],
    ) -> Speech:
        """Speak a text, sampling with torch's global generator.

        Args:
            text: from `normalized`.
            parameters: scene and sampling.
            reference: the voice to clone; if None, the model chooses a voice.
            report: called after each token with the number of tokens; it may raise to end the run.
        """
        import torch

        with torch.inference_mode():
            inputs = self.processor.apply_chat_template(
                _conversation(text, parameters.scene_prompt, reference),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"sampling_rate": self.sample_rate},
            ).to(self.device)
            prompt_length = inputs["audio_input_ids"].shape[1] if reference else 0
            codes = self.model.generate(
                **inputs, **_sampling(parameters), stopping_criteria=[_StepReporter(report)]
            )
            return self._decode(codes[:, prompt_length:])

    def check(self) -> None:
        """Run one pass over two tokens; raise RuntimeError if the logits are not finite."""
        import torch

        config = self.model.config
        tokens = torch.tensor([[config.bos_token_id, config.audio_token_id]], device=self.device)
        frame = torch.full((1, 1, config.num_codebooks), config.audio_stream_bos_id, device=self.device)
        with torch.inference_mode():
            logits = self.model(
                input_ids=tokens,
                audio_input_ids=frame,
                audio_input_ids_mask=torch.ones(1, 1, dtype=torch.bool, device=self.device),
            ).logits
        if not logits.isfinite().all():
            raise RuntimeError("the logits of Higgs Audio are not finite")

    def close(self) -> None:
        """Release the codec: after encoding a recording, it is a key in a cache of its class."""
        self.processor.audio_tokenizer._get_conv1d_layers.cache_clear()

    def _decode(self, codes: "Tensor") -> Speech:
        """Decode codes ``[1, columns, codebooks]``; each codebook is one column behind the previous one.

        The first column has the start token. The last column has the end token, if the model reached it.
        """
        config = self.model.config
        complete = bool((codes[0, -1] == config.audio_stream_eos_id).all())
        frames = codes.shape[1] - 1 - complete - (config.num_codebooks - 1)
        if frames < 1:  # no column without control tokens
            return Speech(np.zeros(self.frame_samples, np.float32), complete)
        samples: Samples = self.processor.batch_decode(codes)[0].numpy()
        return Speech(samples / max(1.0, float(np.abs(samples).max())), complete)


def load_engine(model_folder: Path, codec_folder: Path, device: str) -> HiggsEngine:
    """Load the checkpoint of the language model and its processor, and that of the codec."""
    import torch
    import transformers as hf

    model = hf.HiggsAudioV2ForConditionalGeneration.from_pretrained(
        model_folder, dtype=torch.bfloat16 if device == "cuda" else torch.float32
    )
    for name in ("ras_win_len", "ras_win_max_num_repeat"):  # `generate` only takes arguments with these names
        setattr(model.generation_config, name, None)
    codec = codec_class().from_pretrained(codec_folder, dtype=torch.float32)
    tokenizer = hf.AutoTokenizer.from_pretrained(model_folder)
    # A tokenizer that was used before it was saved has this; the feature extractor would refuse it.
    tokenizer.init_kwargs.pop("pad_to_multiple_of", None)
    extractor = hf.DacFeatureExtractor.from_pretrained(model_folder)
    # `from_pretrained` would download the codec by its repository's name, and it requires torchaudio.
    processor = hf.HiggsAudioV2Processor(extractor, tokenizer, None, chat_template=tokenizer.chat_template)
    processor.audio_tokenizer = codec.eval().to(device)
    return HiggsEngine(model.eval().to(device), processor)


def _conversation(text: str, scene: str | None, reference: Reference | None) -> list[dict[str, Any]]:
    """Build the chat: instruction, scene, transcript and recording of the reference, and the text."""
    turns = [_message("system", type="text", text=INSTRUCTION)]
    if scene := plain(scene or ""):
        turns.append(_message("scene", type="text", text=scene))
    if reference:
        turns.append(_message("user", type="text", text=reference.transcript))
        turns.append(_message("assistant", type="audio", audio=reference.samples))
    return [*turns, _message("user", type="text", text=text)]


def _message(role: str, **content: Any) -> dict[str, Any]:
    return {"role": role, "content": [content]}


def _sampling(parameters: HiggsParameters) -> Mapping[str, Any]:
    """Return the arguments of transformers' `generate`."""
    arguments: dict[str, Any] = {
        "max_new_tokens": parameters.max_new_tokens,
        "do_sample": parameters.temperature > 0,
        "ras_win_len": None,
        "ras_win_max_num_repeat": None,
    }
    if parameters.repetition_aware:
        names = ("ras_win_len", "ras_win_max_num_repeat")
        arguments |= {name: getattr(parameters, name) for name in names}
    if parameters.temperature > 0:
        arguments |= {name: getattr(parameters, name) for name in ("temperature", "top_p", "top_k")}
    return arguments


class _StepReporter:
    """Stopping criterion that reports the number of steps; it only stops by an exception of `report`."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._steps = 0

    def __call__(self, input_ids: "Tensor", scores: "Tensor", **_: Any) -> "Tensor":
        import torch

        self._steps += 1
        self._report(self._steps)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
