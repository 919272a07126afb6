"""A loaded Higgs Audio v2: from text, and a voice to speak with, to audio."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deployments.models.base import Samples
from deployments.models.higgs.codec import codec_class
from deployments.models.higgs.parameters import HiggsParameters
from deployments.models.higgs.text import plain
from deployments.models.kit.speaking import Speech

INSTRUCTION = "Generate audio following instruction."
"""The message of the system, as the model's authors have it."""


@dataclass(frozen=True, slots=True)
class Reference:
    """How a voice sounds: what to speak like."""

    samples: Samples
    """Mono ``[frames]`` at the engine's sample rate."""
    transcript: str
    """What is said in it."""


class HiggsEngine:
    """Weights, chat format and codec.

    Args:
        model: transformers' `HiggsAudioV2ForConditionalGeneration`.
        processor: its `HiggsAudioV2Processor`, with a codec.
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
        """Speak a text.

        Args:
            text: as `higgs_text.normalized` gives it.
            parameters: the scene, and how to sample.
            reference: a voice; the model chooses one itself if there is none.
            report: called with the number of tokens made, after each; may raise to end it.
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
            heard = inputs["audio_input_ids"].shape[1] if reference else 0
            codes = self.model.generate(
                **inputs, **_sampling(parameters), stopping_criteria=[_EachStep(report)]
            )
            return self._decode(codes[:, heard:])

    def check(self) -> None:
        """One pass over a token of text and one of audio; raise if what comes out is not a number."""
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
            raise RuntimeError("the model's logits are not finite")

    def close(self) -> None:
        """Let go of the codec, which a cache of its class holds once it has heard a recording."""
        self.processor.audio_tokenizer._get_conv1d_layers.cache_clear()

    def _decode(self, codes: Any) -> Speech:
        """Audio of ``[1, columns, codebooks]``, in which each codebook is a column behind the one before.

        The first column is the mark of a beginning; so is the last that of an end, if it was reached.
        """
        config = self.model.config
        complete = bool((codes[0, -1] == config.audio_stream_eos_id).all())
        frames = codes.shape[1] - 1 - complete - (config.num_codebooks - 1)
        if frames < 1:  # it had nothing to say
            return Speech(np.zeros(self.frame_samples, np.float32), complete)
        samples: Samples = self.processor.batch_decode(codes)[0].numpy()
        return Speech(samples / max(1.0, float(np.abs(samples).max())), complete)


def load_engine(model_folder: Path, codec_folder: Path, device: str) -> HiggsEngine:
    """The engine of two checkpoints: the language model with its processor, and the codec."""
    import torch
    import transformers as hf

    model = hf.HiggsAudioV2ForConditionalGeneration.from_pretrained(
        model_folder, dtype=torch.bfloat16 if device == "cuda" else torch.float32
    )
    for name in ("ras_win_len", "ras_win_max_num_repeat"):  # `generate` takes only what is named in there
        setattr(model.generation_config, name, None)
    codec = codec_class().from_pretrained(codec_folder, dtype=torch.float32)
    tokenizer = hf.AutoTokenizer.from_pretrained(model_folder)
    # Set if it was in use when it was saved; the processor hands it on to the extractor, which refuses it.
    tokenizer.init_kwargs.pop("pad_to_multiple_of", None)
    extractor = hf.DacFeatureExtractor.from_pretrained(model_folder)
    # Loaded as a whole it would fetch the codec by the name of its repository, and only beside torchaudio.
    processor = hf.HiggsAudioV2Processor(extractor, tokenizer, None, chat_template=tokenizer.chat_template)
    processor.audio_tokenizer = codec.eval().to(device)
    return HiggsEngine(model.eval().to(device), processor)


def _conversation(text: str, scene: str | None, reference: Reference | None) -> list[dict[str, Any]]:
    """What the model is shown: its task, the scene, a voice saying something, and the text for it to say."""
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
    """Arguments of `generate`."""
    chosen: dict[str, Any] = {
        "max_new_tokens": parameters.max_new_tokens,
        "do_sample": parameters.temperature > 0,
        "ras_win_len": None,
        "ras_win_max_num_repeat": None,
    }
    if parameters.repetition_aware:
        names = ("ras_win_len", "ras_win_max_num_repeat")
        chosen |= {name: getattr(parameters, name) for name in names}
    if parameters.temperature > 0:
        chosen |= {name: getattr(parameters, name) for name in ("temperature", "top_p", "top_k")}
    return chosen


class _EachStep:
    """A stopping criterion that never stops: steps are counted, and ended by what `report` raises."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._steps = 0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        self._steps += 1
        self._report(self._steps)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
