"""Targets of test processes that use one store or database concurrently."""

import os
import random
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from audiograph.errors import NotFound
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore, Provenance
from deployments.storage.database import Database

CONTENTS = [b"", b"a" * 10, b"b" * 3_000_000]


def churn(config: StorageConfig, scratch: Path, seed: int, turns: int) -> None:
    """Put, read and delete the same few contents as fast as possible, and sometimes collect.

    Fails if an existing item cannot be read completely.
    """
    store = _open(config, scratch)
    random_numbers = random.Random(seed)
    for _ in range(turns):
        content = random_numbers.choice(CONTENTS)
        artifact = store.put_artifact("x", content, "text/plain", provenance=Provenance(creator="churn"))
        assert b"".join(store.read(artifact.id)) == content
        with store.local(artifact.id) as path:
            assert path.stat().st_size == len(content)
        if random_numbers.random() < 0.3:
            store.collect(retention_seconds=None, max_bytes=None)
        store.delete(artifact.id)
        try:
            store.get(artifact.id)
        except NotFound:
            continue
        raise AssertionError("a deleted item is still there")


def hang_in_mid_write(config: StorageConfig, scratch: Path, connection: Connection) -> None:
    """Send the path of a half-written file, and never finish it."""
    with _open(config, scratch).writer() as writer:
        writer.write(b"x" * 5_000_000)
        connection.send(writer.path)
        time.sleep(600)


def migrate(database_url: str) -> None:
    """Create Audiograph's own tables, and leave no connection open."""
    database = Database(database_url)
    database.migrate()
    database.close()


def _open(config: StorageConfig, scratch: Path) -> ArtifactStore:
    """Open the store, with this process's temporary files in a folder."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    return ArtifactStore.open(config)
