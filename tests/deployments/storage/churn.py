"""A process that puts, reads and deletes the same few contents again and again, as fast as it can.

Run beside others of its kind: ``python churn.py DATABASE_URL ARTIFACTS_URL SEED TURNS``. Fails if an item
that exists cannot be read whole.
"""

import random
import sys

from audiograph.errors import NotFound
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore, Provenance

CONTENTS = [b"", b"a" * 10, b"b" * 3_000_000]


def churn(store: ArtifactStore, seed: int, turns: int) -> None:
    """Put, read, and delete; now and then collect as well."""
    chance = random.Random(seed)
    for _ in range(turns):
        content = chance.choice(CONTENTS)
        made = store.put_artifact("x", content, "text/plain", provenance=Provenance(creator="churn"))
        assert b"".join(store.read(made.id)) == content
        with store.local(made.id) as path:
            assert path.stat().st_size == len(content)
        if chance.random() < 0.3:
            store.collect(retention_seconds=None, max_bytes=None)
        store.delete(made.id)
        try:
            store.get(made.id)
        except NotFound:
            continue
        raise AssertionError("a deleted item is still there")


if __name__ == "__main__":
    database_url, artifacts_url, seed, turns = sys.argv[1:]
    opened = ArtifactStore.open(StorageConfig(database_url=database_url, artifacts_url=artifacts_url))
    churn(opened, int(seed), int(turns))
