"""Concurrent threads and processes, killed processes, and their memory."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path

from audiograph.schemas import Artifact
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore, Usage
from tests.support import churn

EMPTY = Usage(items=0, blobs=0, bytes=0)

Put = Callable[..., Artifact]
Files = Callable[[], list[Path]]


def test_threads_that_put_and_delete_the_same_content(
    store: ArtifactStore, put: Put, files_on_disk: Files
) -> None:
    def put_and_delete(_turn: int) -> None:
        artifact = put(b"the same content")
        assert b"".join(store.read(artifact.id)) == b"the same content"
        store.delete(artifact.id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put_and_delete, range(60)))
    assert store.usage() == EMPTY
    assert files_on_disk() == []


def test_processes_that_put_delete_and_collect_the_same_content(
    store: ArtifactStore,
    config: StorageConfig,
    scratch: Path,
    files_on_disk: Files,
    forked: ForkServerContext,
) -> None:
    processes = [forked.Process(target=churn.churn, args=(config, scratch, seed, 20)) for seed in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store.collect(None, None)
    assert store.usage() == EMPTY
    assert files_on_disk() == []


def test_a_writer_that_is_killed_leaves_no_item_and_its_file_is_cleared(
    store: ArtifactStore,
    config: StorageConfig,
    scratch: Path,
    files_on_disk: Files,
    forked: ForkServerContext,
) -> None:
    receiver, sender = forked.Pipe(duplex=False)
    process = forked.Process(target=churn.hang_in_mid_write, args=(config, scratch, sender))
    process.start()
    sender.close()  # if the process dies before it sends, `recv` fails instead of waiting
    try:
        half_written = receiver.recv()
        store.collect(None, None)
        assert files_on_disk() == [half_written]  # its writer is alive
    finally:
        process.kill()
        process.join()
    assert store.usage() == EMPTY
    assert files_on_disk() == [half_written]
    store.collect(None, None)
    assert files_on_disk() == []


MEASURE_200_MB = """
import resource, sys
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore
store = ArtifactStore.open(StorageConfig(database_url=sys.argv[1], artifacts_url=sys.argv[2]))
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def write(megabytes):
    with store.writer() as writer:
        for number in range(megabytes):
            writer.write(number.to_bytes(4, "big") * (2**20 // 4))
        return writer.commit_file("x", "text/plain", None)
def read(file):
    assert sum(map(len, store.read(file.id))) == file.bytes
    with store.local(file.id) as path:
        assert path.stat().st_size == file.bytes
read(write(1))
before = peak()
read(write(200))
print(peak() - before)
"""


def test_200_megabytes_pass_in_constant_memory(sqlite_store: ArtifactStore, artifacts_url: str) -> None:
    command = [sys.executable, "-c", MEASURE_200_MB, str(sqlite_store.database.engine.url), artifacts_url]
    risen_mib = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(risen_mib) < 32
