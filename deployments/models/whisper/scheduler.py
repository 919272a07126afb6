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
from deployments.models.whisper.rows import Row
from deployments.models.whisper.token_rules import TokenRules
from deployments.models.whisper.transcription import Transcription
from deployments.models.whisper.windows import mel_of

if TYPE_CHECKING:
    from torch import Tensor

    from whisper.model import Whisper as Network


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
        self._rows: list[Row] = []  # in the order of the decoder's rows

    def admit(self, ticket: Ticket[TranscribeRequest]) -> Transcription:
        """Admit a request; its recording is decoded when it is its turn."""
        return Transcription(ticket, self._model)

    def step(self) -> None:
        """Fill free rows with windows, and decode one token of every row."""
        self._fill()
        if self._rows:
            self._decode()

    def report(self, request: Transcription) -> None:
        """Report a transcription's progress, with the frames that its rows have decoded so far."""
        request.report(sum(row.frames_done for row in self._rows if row.transcription is request))

    def release(self, request: Transcription) -> None:
        """Free a transcription's rows."""
        for row in [row for row in self._rows if row.transcription is request]:
            self._leave(row)

    # From windows to rows

    def _fill(self) -> None:
        """Assign free rows to the requests in turn; rows with equally long prompts join together."""
        while new := self._next_rows(self._max_rows - len(self._rows)):
            new.sort(key=_prompt_length)
            for _, alike in groupby(new, key=_prompt_length):
                self._join(self._encoded(list(alike)))

    def _next_rows(self, free: int) -> list[Row]:
        new: list[Row] = []
        while len(new) < free and (transcription := self._next_transcription()):
            new.append(Row(transcription, transcription.queue.popleft()))
        return new

    def _next_transcription(self) -> Transcription | None:
        """Return the next transcription in turn that has waiting windows."""
        for transcription in list(self.admitted):
            self.admitted.rotate(-1)
            if not transcription.is_open:
                with self.isolated(transcription):
                    transcription.open()
                    self._finish_if_done(transcription)
            if transcription.queue:
                return transcription
        return None

    def _encoded(self, rows: list[Row]) -> "list[tuple[Row, Tensor]]":
        """Encode the windows of rows; rows whose request is canceled meanwhile are left out."""
        done: list[tuple[Row, Tensor]] = []
        for start in range(0, len(rows), self._max_encoded):
            if some := self._unfinished(rows[start : start + self._max_encoded]):
                with suppress(Canceled):
                    done += zip(some, self._encode(some), strict=True)
        return [(row, features) for row, features in done if row.transcription in self.admitted]

    def _encode(self, rows: list[Row]) -> "Tensor":
        """Return audio features ``[rows, 1500, state]``; raise Canceled if all requests were canceled."""
        import torch

        bands, device = self._model.dims.n_mels, self._model.device
        mels = [mel_of(row.window, row.transcription.samples, bands=bands, device=device) for row in rows]

        def check() -> None:
            self.report_all()
            if not self._unfinished(rows):
                raise Canceled("all requests of these windows were canceled")

        features: Tensor = self._decoder.encode(torch.stack(mels), check)
        return features

    def _join(self, encoded: "list[tuple[Row, Tensor]]") -> None:
        import torch

        if not encoded:
            return
        rows = [row for row, _ in encoded]
        numbers = self._decoder.join(torch.stack([features for _, features in encoded]))
        self._rows += rows
        for row, features in encoded:
            row.features = features if row.transcription.request.word_timestamps else None
        if any(row.transcription.language is None for row in rows):
            self._detect_languages(rows, numbers)
        self._begin(rows, numbers)

    def _detect_languages(self, rows: list[Row], numbers: range) -> None:
        """Detect the languages that are not known; the first window of a transcription comes first."""
        logits, _ = self._decoder.start(numbers, [[self._tokenizer.sot]] * len(rows))
        found = logits[:, list(self._tokenizer.all_language_tokens)].argmax(-1).tolist()
        for row, index in zip(rows, found, strict=True):
            language = row.transcription.language
            row.transcription.language = language or self._tokenizer.all_language_codes[index]

    def _begin(self, rows: list[Row], numbers: range) -> None:
        """Begin the rows' texts, or begin them again; the first token of a text is a timestamp."""
        for row in rows:
            row.begin(self._model.device)
        initial = [row.transcription.initial_tokens for row in rows]
        sot_logits, last_logits = self._decoder.start(
            numbers, initial, at=initial[0].index(self._tokenizer.sot)
        )
        for row, probability in zip(rows, self._rules.no_speech_probs(sot_logits), strict=True):
            row.text.no_speech_prob = probability
        self._rules.extend([row.text for row in rows], last_logits)

    # From rows to text

    def _decode(self) -> None:
        logits = self._decoder.step(
            [row.text.tokens[-1] for row in self._rows], [row.length - 1 for row in self._rows]
        )
        ended = self._rules.extend([row.text for row in self._rows], logits)
        context_length = self._model.dims.n_text_ctx
        pairs = list(zip(self._rows, ended, strict=True))
        for row in [row for row, end in pairs if end or row.length > context_length]:
            if row.transcription in self.admitted:  # else another of its rows has finished it
                self._end(row)

    def _end(self, row: Row) -> None:
        """End a row's text: accept it, or begin it again at the next temperature."""
        if row.must_begin_again():
            number = self._rows.index(row)
            self._begin([row], range(number, number + 1))
            return
        parts, end_frame = row.parts(self._model)
        self._leave(row)
        with self.isolated(row.transcription):
            row.transcription.accept(row.window, parts, end_frame)
            self._finish_if_done(row.transcription)

    def _finish_if_done(self, transcription: Transcription) -> None:
        if transcription.is_done:
            self.finish(transcription, transcription.output())

    def _leave(self, row: Row) -> None:
        """Remove a row; the last row moves into its place, as it does in the decoder."""
        number = self._rows.index(row)
        self._decoder.leave(number)
        last = self._rows.pop()
        if last is not row:
            self._rows[number] = last

    def _unfinished(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if row.transcription in self.admitted]


def _prompt_length(row: Row) -> int:
    return row.transcription.initial_length
