"""The graph of one node: a request goes to the model that it names."""

from audiograph.schemas import Request
from deployments.jobs.graph import Models, Outcome


async def single(request: Request, models: Models) -> Outcome:
    """Run the request on its model."""
    return await models.run(request)
