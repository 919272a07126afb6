"""API keys: made once, shown once, kept as a hash, and revoked for good.

A key is ``agk_<id>_<secret>``. The id finds the row; of the secret (256 random bits, so a plain SHA-256 is
enough) only the hash is stored, and compared in constant time.
"""

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from audiograph.errors import InvalidRequest, NotFound, Unauthenticated
from deployments.storage.database import Database
from deployments.storage.tables import ApiKey

TRUST_SECONDS = 5.0
"""A key that was found good is not looked up again for so long: revoking it takes effect after that."""

_KEY = re.compile(r"agk_([0-9a-f]{16})_([0-9a-f]{64})")
_NO_SECRET = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


@dataclass(frozen=True)
class KeyRecord:
    """What may be told of a key."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


class Keys:
    """The stored keys. Blocking; safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._trusted: dict[str, tuple[str, float]] = {}
        """Hash of the secret, and until when it is trusted (monotonic), by id."""

    def create(self, name: str) -> str:
        """Make a key and return it: the only time that it can be seen.

        Raises:
            InvalidRequest: the name is empty, too long or not printable.
        """
        if not 1 <= len(name) <= 128 or not name.isprintable():
            raise InvalidRequest(
                f"a key's name has 1 to 128 printable characters, unlike {name!r}", field="name"
            )
        key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
        row = ApiKey(
            id=key_id, name=name, secret_sha256=_hash(secret), created_at=time.time(), revoked_at=None
        )
        with self._database.session() as session:
            session.add(row)
        return f"agk_{key_id}_{secret}"

    def list(self) -> list[KeyRecord]:
        """Every key, oldest first, revoked ones as well."""
        with self._database.snapshot() as session:
            return [
                _record(row) for row in session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id))
            ]

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key, for good. Doing it again changes nothing.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.session() as session:
            row = session.get(ApiKey, key_id)
            if row is None:
                raise NotFound(
                    f"there is no key {key_id!r}; `audiograph keys list` shows the ids", field="id"
                )
            row.revoked_at = row.revoked_at or time.time()
            return _record(row)

    def known(self, key: str) -> str | None:
        """The id of a key that was verified a moment ago, without a look into the database."""
        key_id, digest = _parse(key)
        trusted, until = self._trusted.get(key_id, (_NO_SECRET, 0.0))
        return key_id if hmac.compare_digest(trusted, digest) and time.monotonic() < until else None

    def verify(self, key: str) -> str:
        """The id of a key.

        Raises:
            Unauthenticated: it is malformed, unknown or revoked.
        """
        key_id, digest = _parse(key)
        with self._database.snapshot() as session:
            row = session.get(ApiKey, key_id)
        stored = row.secret_sha256 if row and row.revoked_at is None else _NO_SECRET
        if not hmac.compare_digest(stored, digest):
            self._trusted.pop(key_id, None)
            raise Unauthenticated("the API key is unknown or revoked")
        self._trusted[key_id] = (digest, time.monotonic() + TRUST_SECONDS)
        return key_id


def _parse(key: str) -> tuple[str, str]:
    """Id, and hash of the secret."""
    parts = _KEY.fullmatch(key)
    if not parts:
        raise Unauthenticated("that is not an API key; one looks like agk_<id>_<secret>")
    return parts[1], _hash(parts[2])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(row: ApiKey) -> KeyRecord:
    return KeyRecord(
        row.id, row.name, _time(row.created_at), _time(row.revoked_at) if row.revoked_at else None
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
