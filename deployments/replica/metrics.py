"""Prometheus series of a model, exported by Ray beside its own; outside a cluster they are not exported.

Ray adds its prefix (``ray_audiograph_model_run_seconds``) and, in a replica, the tags of deployment and
replica.
"""

from deployments.replica.lanes import RunTimings

SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000]
FACTORS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]
REQUEST_TAGS = ("model", "variant", "task")


class ModelMetrics:
    """The series of one model in one replica."""

    def __init__(self, model: str) -> None:
        from ray.serve.metrics import Counter, Gauge, Histogram

        self._model = model
        self._requests = Counter(
            "audiograph_model_requests_total",
            description="Finished requests by outcome: succeeded, canceled, or an error code.",
            tag_keys=(*REQUEST_TAGS, "outcome"),
        )
        self._queue = Histogram(
            "audiograph_model_queue_wait_seconds",
            description="Time from arrival in the replica to the start of the run, without loading.",
            boundaries=SECONDS,
            tag_keys=REQUEST_TAGS,
        )
        self._run = Histogram(
            "audiograph_model_run_seconds",
            description="Time in the model.",
            boundaries=SECONDS,
            tag_keys=REQUEST_TAGS,
        )
        self._factor = Histogram(
            "audiograph_model_real_time_factor",
            description="Time in the model per second of audio that it read or generated.",
            boundaries=FACTORS,
            tag_keys=REQUEST_TAGS,
        )
        self._loaded = Gauge(
            "audiograph_model_loaded_bytes",
            description="Device memory of a loaded variant; 0 when it is not loaded.",
            tag_keys=("model", "variant"),
        )

    def ended(self, variant: str, task: str, outcome: str) -> None:
        """Count a request by its outcome."""
        tags = {"model": self._model, "variant": variant, "task": task, "outcome": outcome}
        self._requests.inc(tags=tags)

    def ran(self, variant: str, task: str, timings: RunTimings, audio_seconds: float | None) -> None:
        """Record where a successful request's time went."""
        tags = {"model": self._model, "variant": variant, "task": task}
        self._queue.observe(timings.queue, tags=tags)
        self._run.observe(timings.run, tags=tags)
        if audio_seconds:
            self._factor.observe(timings.run / audio_seconds, tags=tags)

    def loaded(self, variant: str, size: int) -> None:
        """Record the bytes of a variant that was loaded or unloaded (0)."""
        self._loaded.set(size, tags={"model": self._model, "variant": variant})
