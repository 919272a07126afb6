"""Which variants operators asked to be loaded, so that replicas started later obey as well."""

import time

from sqlalchemy import delete, select

from deployments.storage.database import Database
from deployments.storage.tables import WantedVariant


class WantedVariants:
    """The stored wishes, by model. Blocking; safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, model: str, variant: str, wanted: bool) -> None:
        """Store that a variant shall be loaded, or shall not; the last wish counts."""
        wish = {"wanted": wanted, "updated_at": time.time()}
        insert = self._database.insert(WantedVariant).values(model=model, variant=variant, **wish)
        with self._database.session() as session:
            session.execute(insert.on_conflict_do_update(index_elements=["model", "variant"], set_=wish))

    def wanted(self, model: str) -> dict[str, bool]:
        """The wishes for a model; variants that nobody asked about are absent."""
        query = select(WantedVariant.variant, WantedVariant.wanted).where(WantedVariant.model == model)
        with self._database.snapshot() as session:
            return dict(session.execute(query).tuples().all())

    def forget(self, model: str) -> None:
        """Remove every wish for a model: its replicas follow the configuration again."""
        with self._database.session() as session:
            session.execute(delete(WantedVariant).where(WantedVariant.model == model))
