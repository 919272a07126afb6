"""OpenAI's audio API."""

from deployments.ingress.http.dialect import Dialect
from deployments.ingress.openai import speech, voices
from deployments.ingress.openai.errors import openai_error

OPENAI = Dialect(
    routers=[speech.router, voices.router],
    tags=[{"name": "openai", "description": "For OpenAI's clients, with errors in OpenAI's format."}],
    path="/v1/audio",
    error_format=openai_error,
    exposed_headers=[speech.NOTES, speech.WEIGHTS],
)
