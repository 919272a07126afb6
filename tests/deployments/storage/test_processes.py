"""Many threads and processes at once, processes that are killed, and how much memory they take."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from audiograph.schemas import Artifact
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore, Usage

EMPTY = Usage(items=0, blobs=0, bytes=0)

Put = Callable[..., Artifact]
Files = Callable[[], list[Path]]


def test_threads_that_put_and_delete_the_same_content(
    store: ArtifactStore, put: Put, files_on_disk: Files
) -> None:
    def put_and_delete(_turn: int) -> None:
        made = put(b"the same content")
        assert b"".join(store.read(made.id)) == b"the same content"
        store.delete(made.id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put_and_delete, range(60)))
    assert store.usage() == EMPTY
    assert files_on_disk() == []


def test_processes_that_put_delete_and_collect_the_same_content(
    store: ArtifactStore, config: StorageConfig, files_on_disk: Files
) -> None:
    script = Path(__file__).with_name("churn.py")
    arguments = [sys.executable, str(script), config.database_url, config.artifacts_url]
    processes = [subprocess.Popen([*arguments, str(seed), "20"], stderr=subprocess.PIPE) for seed in range(3)]
    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    store.collect(None, None)
    assert store.usage() == EMPTY
    assert files_on_disk() == []


HANG_IN_MID_WRITE = """
import sys, time
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore
store = ArtifactStore.open(StorageConfig(database_url=sys.argv[1], artifacts_url=sys.argv[2]))
with store.writer() as writer:
    writer.write(b"x" * 5_000_000)
    print(writer.path, flush=True)
    time.sleep(600)
"""


def test_a_writer_that_is_killed_leaves_no_item_and_its_file_is_cleared(
    store: ArtifactStore, config: StorageConfig, files_on_disk: Files
) -> None:
    command = [sys.executable, "-c", HANG_IN_MID_WRITE, config.database_url, config.artifacts_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        half_written = Path(process.stdout.readline().strip())
        store.collect(None, None)
        assert files_on_disk() == [half_written]  # its writer lives
        process.send_signal(signal.SIGKILL)
        process.wait()
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
    risen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(risen) < 32
