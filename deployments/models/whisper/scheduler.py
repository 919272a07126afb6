"""Many requests through one Whisper: windows of all of them share the decoder, each in a row of its own."""

from collections import deque
from contextlib import suppress
from itertools import groupby
from typing import Any

from audiograph.errors import Canceled
from deployments.models.base import Intake, Output
from deployments.models.whisper.decoder import Decoder
from deployments.models.whisper.rows import Row
from deployments.models.whisper.token_rules import TokenRules
from deployments.models.whisper.transcription import Job
from deployments.models.whisper.windows import mel_of


class Flight:
    """The jobs and rows of one run.

    Free rows are given to the jobs in turn, so that an hour of audio holds up nobody; a job that is canceled
    gives its rows back within a step, or within a layer of the encoder.

    Args:
        model: a `whisper.model.Whisper`, used by nobody else meanwhile.
        intake: where requests come from.
        rows: the most windows in the decoder.
        encoded_at_once: the most in the encoder.
    """

    def __init__(self, model: Any, intake: Intake, *, rows: int, encoded_at_once: int) -> None:
        from whisper.tokenizer import get_tokenizer

        self._model = model
        self._intake = intake
        self._most_rows = rows
        self._encoded_at_once = encoded_at_once
        self._tokenizer = get_tokenizer(True, num_languages=model.num_languages)
        self._rules = TokenRules(self._tokenizer, model.device)
        self._decoder = Decoder(model)
        self._jobs: deque[Job] = deque()
        self._rows: list[Row] = []  # in the order of the decoder's

    def run(self) -> None:
        """Serve all there is, and all that comes meanwhile."""
        import torch

        with torch.inference_mode():
            while self._admitted():
                self._sweep()
                self._fill()
                if self._rows:
                    self._step()

    def _admitted(self) -> bool:
        """Whether there is any job, with those that wait outside."""
        self._jobs.extend(Job(ticket, self._model) for ticket in self._intake.take())
        return bool(self._jobs)

    def _sweep(self) -> None:
        """Tell every job how far it is, and let go of the canceled ones."""
        running = dict.fromkeys(self._jobs, 0.0)
        for row in self._rows:
            running[row.job] += row.frames_done
        for job, frames in running.items():
            try:
                job.report(frames)
            except Canceled as canceled:
                self._close(job, canceled)

    def _close(self, job: Job, outcome: Output | Exception) -> None:
        job.is_closed = True
        self._jobs.remove(job)
        for row in [row for row in self._rows if row.job is job]:
            self._leave(row)
        job.ticket.finish(outcome)

    # Windows become rows

    def _fill(self) -> None:
        """Give free rows to the jobs in turn, and to those of like prompts together."""
        while new := self._picked(self._most_rows - len(self._rows)):
            new.sort(key=lambda row: row.job.initial_length)
            for _, alike in groupby(new, key=lambda row: row.job.initial_length):
                self._join(self._encoded(list(alike)))

    def _picked(self, free: int) -> list[Row]:
        new: list[Row] = []
        while len(new) < free and (job := self._next_job()):
            new.append(Row(job, job.queue.popleft()))
        return new

    def _next_job(self) -> Job | None:
        """The next one in turn that has windows waiting; recordings are decoded when it is their turn."""
        for job in list(self._jobs):
            self._jobs.rotate(-1)
            if not job.is_open:
                self._open(job)
            if job.queue:
                return job
        return None

    def _open(self, job: Job) -> None:
        try:
            job.open()
        except Exception as error:  # its recording alone is at fault
            self._close(job, error)
        else:
            self._close_if_done(job)

    def _encoded(self, rows: list[Row]) -> list[tuple[Row, Any]]:
        """Rows and what the encoder made of them, but for those whose jobs were canceled meanwhile."""
        done: list[tuple[Row, Any]] = []
        for start in range(0, len(rows), self._encoded_at_once):
            if some := _open_ones(rows[start : start + self._encoded_at_once]):
                with suppress(Canceled):
                    done += zip(some, self._encode(some), strict=True)
        return [(row, features) for row, features in done if not row.job.is_closed]

    def _encode(self, rows: list[Row]) -> Any:
        """``[rows, 1500, state]``; raises Canceled if all of their jobs were."""
        import torch

        bands, device = self._model.dims.n_mels, self._model.device
        mels = [mel_of(row.window, row.job.samples, bands=bands, device=device) for row in rows]

        def check() -> None:
            self._sweep()
            if not _open_ones(rows):
                raise Canceled("nobody waits for these windows")

        return self._decoder.encode(torch.stack(mels), check)

    def _join(self, encoded: list[tuple[Row, Any]]) -> None:
        import torch

        if not encoded:
            return
        rows = [row for row, _ in encoded]
        numbers = self._decoder.join(torch.stack([features for _, features in encoded]))
        self._rows += rows
        for row, features in encoded:
            row.features = features if row.job.request.word_timestamps else None
        if any(row.job.language is None for row in rows):
            self._detect_languages(rows, numbers)
        self._begin(rows, numbers)

    def _detect_languages(self, rows: list[Row], numbers: range) -> None:
        """Of the jobs whose language is not known; a job's first window comes first."""
        logits, _ = self._decoder.start(numbers, [[self._tokenizer.sot]] * len(rows))
        found = logits[:, list(self._tokenizer.all_language_tokens)].argmax(-1).tolist()
        for row, index in zip(rows, found, strict=True):
            row.job.language = row.job.language or self._tokenizer.all_language_codes[index]

    def _begin(self, rows: list[Row], numbers: range) -> None:
        """Start the rows' texts, or start them again; their first token is a timestamp."""
        for row in rows:
            row.begin(self._model.device)
        initial = [row.job.initial_tokens for row in rows]
        behind_sot, behind_all = self._decoder.start(
            numbers, initial, at=initial[0].index(self._tokenizer.sot)
        )
        for row, probability in zip(rows, self._rules.no_speech_probs(behind_sot), strict=True):
            row.text.no_speech_prob = probability
        self._rules.extend([row.text for row in rows], behind_all)

    # Rows become text

    def _step(self) -> None:
        logits = self._decoder.step(
            [row.text.tokens[-1] for row in self._rows], [row.length - 1 for row in self._rows]
        )
        ended = self._rules.extend([row.text for row in self._rows], logits)
        room = self._model.dims.n_text_ctx
        for row in [row for row, end in zip(self._rows, ended, strict=True) if end or row.length > room]:
            if not row.job.is_closed:  # by the end of another of its rows
                self._end(row)

    def _end(self, row: Row) -> None:
        if row.must_begin_again():
            number = self._rows.index(row)
            self._begin([row], range(number, number + 1))
            return
        parts, heard = row.parts(self._model)
        self._leave(row)
        try:
            row.job.hear(row.window, parts, heard)
        except Canceled as canceled:
            self._close(row.job, canceled)
        else:
            self._close_if_done(row.job)

    def _close_if_done(self, job: Job) -> None:
        if job.is_done:
            self._close(job, job.output())

    def _leave(self, row: Row) -> None:
        """The last row moves into its place, as it does in the decoder."""
        number = self._rows.index(row)
        self._decoder.leave(number)
        last = self._rows.pop()
        if last is not row:
            self._rows[number] = last


def _open_ones(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not row.job.is_closed]
