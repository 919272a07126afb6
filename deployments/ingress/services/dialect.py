"""The dialect of one microservice per speech model."""

from deployments.ingress.http.dialect import Dialect
from deployments.ingress.services import routes
from deployments.ingress.services.errors import services_error

SERVICES = Dialect(
    routers=[routes.router],
    tags=[
        {
            "name": "services",
            "description": "For clients of one microservice per speech model: their base URL becomes "
            '`/services/{model}`. Errors are `{"detail": "…"}`.',
        }
    ],
    path="/services",
    error_format=services_error,
)
