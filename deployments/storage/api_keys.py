"""API keys: shown once, stored as a hash, and revoked permanently.

A key is ``agk_<id>_<secret>``. The id selects the row. Of the secret only a hash is stored, and compared in
constant time; plain SHA-256 suffices, since the secret is 256 random bits.
"""

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from audiograph._wording import shown
from audiograph.errors import InvalidRequest, NotFound, Unauthenticated
from deployments.storage.database import Database
from deployments.storage.tables import ApiKey

CACHE_SECONDS = 5.0
"""Time for which a verified key is not looked up again; a revocation takes effect after it."""

_KEY = re.compile(r"agk_([0-9a-f]{16})_([0-9a-f]{64})")
_NO_SECRET = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


@dataclass(frozen=True)
class KeyRecord:
    """Public attributes of a key."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


class Keys:
    """Store of API keys. Blocking; safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._verified: dict[str, tuple[str, float]] = {}
        """Hash of the secret and the end of its caching (monotonic time), by id."""

    def create(self, name: str) -> str:
        """Create a key and return it. It cannot be read again.

        Raises:
            InvalidRequest: the name is empty, too long or not printable.
        """
        if not 1 <= len(name) <= 128 or not name.isprintable():
            raise InvalidRequest(
                f"name is {shown(name)}; it must have 1 to 128 printable characters", field="name"
            )
        key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
        row = ApiKey(
            id=key_id, name=name, secret_sha256=_hash(secret), created_at=time.time(), revoked_at=None
        )
        with self._database.session() as session:
            session.add(row)
        return f"agk_{key_id}_{secret}"

    def list(self) -> list[KeyRecord]:
        """Return every key, including revoked ones, oldest first."""
        with self._database.snapshot() as session:
            return [
                _record(row) for row in session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id))
            ]

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key permanently. Idempotent.

        Raises:
            NotFound: there is no key of that id.
        """
        with self._database.session() as session:
            row = session.get(ApiKey, key_id)
            if row is None:
                raise NotFound(
                    f"there is no key {shown(key_id)}; `audiograph keys list` shows the ids", field="id"
                )
            row.revoked_at = row.revoked_at or time.time()
            return _record(row)

    def cached_id(self, key: str) -> str | None:
        """Return the id of a key that was verified within `CACHE_SECONDS`, without reading the database.

        Raises:
            Unauthenticated: the key is malformed.
        """
        key_id, digest = _parse(key)
        verified, until = self._verified.get(key_id, (_NO_SECRET, 0.0))
        return key_id if hmac.compare_digest(verified, digest) and time.monotonic() < until else None

    def verify(self, key: str) -> str:
        """Return the id of a valid key.

        Raises:
            Unauthenticated: the key is malformed, unknown or revoked.
        """
        key_id, digest = _parse(key)
        with self._database.snapshot() as session:
            row = session.get(ApiKey, key_id)
        stored = row.secret_sha256 if row and row.revoked_at is None else _NO_SECRET
        if not hmac.compare_digest(stored, digest):
            self._verified.pop(key_id, None)
            raise Unauthenticated("the API key is unknown or revoked")
        self._verified[key_id] = (digest, time.monotonic() + CACHE_SECONDS)
        return key_id


def _parse(key: str) -> tuple[str, str]:
    """Split a key into its id and the hash of its secret."""
    parts = _KEY.fullmatch(key)
    if not parts:
        raise Unauthenticated("the API key is malformed; it must look like agk_<id>_<secret>")
    return parts[1], _hash(parts[2])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(row: ApiKey) -> KeyRecord:
    return KeyRecord(
        row.id, row.name, _time(row.created_at), _time(row.revoked_at) if row.revoked_at else None
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
