"""What processes do to a store at the same time as others."""

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
    """Put, read and delete the same few contents as fast as possible; now and then collect as well.

    Fails if an item that exists cannot be read whole.
    """
    store = _open(config, scratch)
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


def hang_in_mid_write(config: StorageConfig, scratch: Path, told: Connection) -> None:
    """Tell where a half-written file is, and never finish it."""
    with _open(config, scratch).writer() as writer:
        writer.write(b"x" * 5_000_000)
        told.send(writer.path)
        time.sleep(600)


def migrate(database_url: str) -> None:
    """Make the tables."""
    Database(database_url).migrate()


def _open(config: StorageConfig, scratch: Path) -> ArtifactStore:
    """The store of a process whose temporary files go to a folder."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    return ArtifactStore.open(config)
