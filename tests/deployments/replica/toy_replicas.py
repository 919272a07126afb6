"""Calls of a replica, as a job's runner makes them."""

import asyncio

import pytest


def call(text="words", *, parameters=None, job_id="job-1", **fields):
    request = {"task": "speak", "text": text, "model": "toy", "variant": "small", **fields}
    if parameters:
        request["parameters"] = parameters
    return {"task": "speak", "request": request, "job_id": job_id, "attempt": 1}


async def events_of(replica, *args, **kwargs):
    return [event async for event in replica.run(call(*args, **kwargs))]


async def until(condition):
    while not condition():  # noqa: ASYNC110  # threads make it true
        await asyncio.sleep(0.005)


def stored(replica):
    return replica._store.search().data


class Reader:
    """Reads a run's events in the background, until it is closed like a caller who is cut off."""

    def __init__(self, replica, *args, **kwargs):
        self.events = []
        self.run = replica.run(call(*args, **kwargs))
        self.task = asyncio.create_task(self._read())

    async def _read(self):
        async for event in self.run:
            self.events.append(event)

    async def cut_off(self):
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task
