"""The native API."""

from deployments.ingress.http.dialect import Dialect
from deployments.ingress.native import artifacts, events, files, health, jobs, metrics, models, voices

NATIVE = Dialect(
    routers=[module.router for module in (jobs, events, files, artifacts, voices, models, health, metrics)],
    tags=[
        {"name": "jobs", "description": "Durable work: submitted once, done once, through any crash."},
        {"name": "files", "description": "Uploads, streamed to storage and measured by decoding."},
        {"name": "artifacts", "description": "Files that jobs produced, with their provenance."},
        {"name": "voices", "description": "Built-in and recorded voices."},
        {"name": "models", "description": "Configured models, and the variants that replicas have loaded."},
        {"name": "operation", "description": "Health, readiness and metrics."},
    ],
    exposed_headers=[
        "Content-Disposition",
        "Content-Range",
        "ETag",
        "Location",
        "Preference-Applied",
        "Retry-After",
    ],
)
