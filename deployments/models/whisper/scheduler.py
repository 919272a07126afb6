"""Continuous batching of Whisper: windows of all requests share the decoder, each in a row of its own."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from audiograph.errors import Canceled
from audiograph.schemas import TranscribeRequest
from deployments.models.base import Intake, Ticket
from deployments.models.kit.continuous import ContinuousScheduler
from deployments.models.whisper.decoder import Decoder
from deployments.models.whisper.hypothesis import Hypothesis
from deployments.models.whisper.timing import RawSegment
from deployments.models.whisper.token_rules import TokenRules
from deployments.models.whisper.transcription import Transcription
from deployments.models.whisper.windows import window_spectrogram

if TYPE_CHECKING:
    from torch import Tensor

    from whisper import Whisper as Network


class Scheduler(ContinuousScheduler[TranscribeRequest, Transcription]):
    """Assigns the decoder's rows to the windows of all requests.

    Free rows go to the requests in turn, so that an hour of audio does not delay a short recording. A
    canceled request releases its rows within a step, or within a layer of the encoder.

    Args:
        model: used by this scheduler alone while it runs.
        intake: the source of requests.
        max_rows: maximum number of windows in the decoder.
        max_encoded: maximum number of windows in one pass of the encoder.
    """

    def __init__(
        self, model: "Network", intake: Intake[TranscribeRequest], *, max_rows: int, max_encoded: int
    ) -> None:
        from whisper.tokenizer import get_tokenizer

        super().__init__(intake)
        self._model = model
        self._max_rows = max_rows
        self._max_encoded = max_encoded
        self._tokenizer = get_tokenizer(True, num_languages=model.num_languages)
        self._rules = TokenRules(self._tokenizer, model.device)
        self._decoder = Decoder(model)
        self._hypotheses: list[Hypothesis] = []  # in the order of the decoder's rows

    def admit(self, ticket: Ticket[TranscribeRequest]) -> Transcription:
        """Admit a request; its recording is not decoded before its turn."""
        return Transcription(ticket, self._model)

    def step(self) -> None:
        """Fill free rows with windows, and decode one token of every row."""
        self._fill()
        if self._hypotheses:
            self._decode()

    def report(self, request: Transcription) -> None:
        """Report a transcription's progress, with the frames that its rows have decoded so far."""
        request.report(sum(hypothesis.frames_done for hypothesis in self._of(request)))

    def release(self, request: Transcription) -> None:
        """Free a transcription's rows."""
        for hypothesis in self._of(request):
            self._leave(hypothesis)

    def _of(self, request: Transcription) -> list[Hypothesis]:
        return [hypothesis for hypothesis in self._hypotheses if hypothesis.transcription is request]

    # From windows to rows

    def _fill(self) -> None:
        """Assign free rows to the requests in turn; windows with equally long prompts join together."""
        while new := self._next_windows(self._max_rows - len(self._hypotheses)):
            new.sort(key=_prompt_length)
            for _, group in groupby(new, key=_prompt_length):
                self._join(self._encoded(list(group)))

    def _next_windows(self, free: int) -> list[Hypothesis]:
        new: list[Hypothesis] = []
        while len(new) < free and (transcription := self._next_transcription()):
            new.append(Hypothesis(transcription, transcription.queue.popleft()))
        return new

    def _next_transcription(self) -> Transcription | None:
        """Return the next transcription in turn that has waiting windows."""
        for transcription in list(self.admitted):
            self.admitted.rotate(-1)
            if not transcription.is_open:
                self._open(transcription)
            if transcription.queue:
                return transcription
        return None

    def _open(self, transcription: Transcription) -> None:
        """Decode a recording; any error, of full memory too, is due to this recording alone."""
        try:
            transcription.open()
            self._finish_if_done(transcription)
        except Exception as error:
            self.finish(transcription, error)

    def _encoded(self, hypotheses: list[Hypothesis]) -> "list[tuple[Hypothesis, Tensor]]":
        """Encode windows, and leave out windows of requests that are canceled meanwhile."""
        done: list[tuple[Hypothesis, Tensor]] = []
        for start in range(0, len(hypotheses), self._max_encoded):
            if batch := self._unfinished(hypotheses[start : start + self._max_encoded]):
                with suppress(Canceled):
                    done += zip(batch, self._encode(batch), strict=True)
        return [
            (hypothesis, features)
            for hypothesis, features in done
            if hypothesis.transcription in self.admitted
        ]

    def _encode(self, hypotheses: list[Hypothesis]) -> "Tensor":
        """Return audio features ``[rows, 1500, state]``.

        Raises:
            Canceled: all requests of these windows were canceled.
        """
        import torch

        bands, device = self._model.dims.n_mels, self._model.device
        spectrograms = [
            window_spectrogram(
                hypothesis.window, hypothesis.transcription.samples, bands=bands, device=device
            )
            for hypothesis in hypotheses
        ]

        def check() -> None:
            self.report_all()
            if not self._unfinished(hypotheses):
                raise Canceled("all requests of these windows were canceled")

        return self._decoder.encode(torch.stack(spectrograms), check)

    def _join(self, encoded: "list[tuple[Hypothesis, Tensor]]") -> None:
        """Give encoded windows rows of the decoder, and begin their texts.

        Args:
            encoded: windows with equally long prompts, and their audio features ``[1500, state]``.
        """
        import torch

        if not encoded:
            return
        new = [hypothesis for hypothesis, _ in encoded]
        rows = self._decoder.join(torch.stack([features for _, features in encoded]))
        self._hypotheses += new
        for hypothesis, features in encoded:
            if hypothesis.transcription.request.word_timestamps:
                hypothesis.features = features
        if any(hypothesis.transcription.language is None for hypothesis in new):
            self._detect_languages(new, rows)
        self._begin(new, rows)
        for hypothesis in new:
            self._accept_if_silent(hypothesis)

    def _accept_if_silent(self, hypothesis: Hypothesis) -> None:
        """End a window without speech before words are made up for it."""
        transcription = hypothesis.transcription
        if transcription not in self.admitted:  # another of its windows has finished it
            return
        with self.isolated(transcription):
            if hypothesis.is_without_speech():
                self._leave(hypothesis)
                self._accept(hypothesis, [], hypothesis.window.end)

    def _detect_languages(self, hypotheses: list[Hypothesis], rows: range) -> None:
        """Detect unknown languages; the first window of each transcription precedes its others."""
        logits, _ = self._decoder.prefill(rows, [[self._tokenizer.sot]] * len(rows))
        found = logits[:, list(self._tokenizer.all_language_tokens)].argmax(-1).tolist()
        for hypothesis, index in zip(hypotheses, found, strict=True):
            if hypothesis.transcription.language is None:
                hypothesis.transcription.language = self._tokenizer.all_language_codes[index]

    def _begin(self, hypotheses: list[Hypothesis], rows: range) -> None:
        """Begin texts, or begin them again; the first token of a text is a timestamp."""
        for hypothesis in hypotheses:
            hypothesis.begin(self._model.device)
        initial = [hypothesis.transcription.initial_tokens for hypothesis in hypotheses]
        sot_logits, last_logits = self._decoder.prefill(rows, initial, initial[0].index(self._tokenizer.sot))
        texts = [hypothesis.decoded for hypothesis in hypotheses]
        for text, probability in zip(texts, self._rules.no_speech_probs(sot_logits), strict=True):
            text.no_speech_prob = probability
        self._rules.extend(texts, last_logits)

    # From rows to text

    def _decode(self) -> None:
        """Decode one token of every row, and end the texts that are complete or fill the context."""
        texts = [hypothesis.decoded for hypothesis in self._hypotheses]
        positions = [hypothesis.length - 1 for hypothesis in self._hypotheses]
        logits = self._decoder.step([text.tokens[-1] for text in texts], positions)
        ended = self._rules.extend(texts, logits)
        context_length = self._model.dims.n_text_ctx
        complete = [
            hypothesis
            for hypothesis, end in zip(self._hypotheses, ended, strict=True)
            if end or hypothesis.length > context_length
        ]
        for hypothesis in complete:
            if hypothesis.transcription in self.admitted:  # else another of its rows has finished it
                self._end(hypothesis)

    def _end(self, hypothesis: Hypothesis) -> None:
        """End a text: accept it, or begin it again at the next temperature."""
        if hypothesis.needs_fallback():
            row = self._hypotheses.index(hypothesis)
            self._begin([hypothesis], range(row, row + 1))
            return
        segments, end_frame = hypothesis.segments(self._model)
        self._leave(hypothesis)
        with self.isolated(hypothesis.transcription):
            self._accept(hypothesis, segments, end_frame)

    def _accept(self, hypothesis: Hypothesis, segments: list[RawSegment], end_frame: int) -> None:
        hypothesis.transcription.accept(hypothesis.window, segments, end_frame)
        self._finish_if_done(hypothesis.transcription)

    def _finish_if_done(self, transcription: Transcription) -> None:
        if transcription.is_done:
            self.finish(transcription, transcription.output())

    def _leave(self, hypothesis: Hypothesis) -> None:
        """Free a row; the last hypothesis moves into it, as it does in the decoder."""
        row = self._hypotheses.index(hypothesis)
        self._decoder.leave(row)
        last = self._hypotheses.pop()
        if last is not hypothesis:
            self._hypotheses[row] = last

    def _unfinished(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        return [hypothesis for hypothesis in hypotheses if hypothesis.transcription in self.admitted]


def _prompt_length(hypothesis: Hypothesis) -> int:
    return hypothesis.transcription.initial_length
