"""The smallest application that the launcher can run."""

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from deployments.config import AppConfig

app = FastAPI()


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
@serve.ingress(app)
class Toy:
    """Answers what the launcher asks."""

    @app.get("/health")
    def health(self) -> dict[str, str]:
        return {"status": "ok"}


def build(config: AppConfig) -> Application:
    """Refuse one configuration, as the real application refuses a wrong one."""
    if config.defaults:
        raise ValueError("models: nothing here serves a task")
    return Toy.bind()
