"""Variants that operators want loaded or unloaded; replicas that start later obey as well."""

import time

from sqlalchemy import delete, select

from deployments.storage.database import Database
from deployments.storage.tables import DesiredVariant


class DesiredVariants:
    """Store of the desired state of variants. Blocking; safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, model: str, variant: str, loaded: bool) -> None:
        """Store whether a variant is to be loaded, replacing its previous state."""
        desired = {"wanted": loaded, "updated_at": time.time()}
        insert = self._database.insert(DesiredVariant).values(model=model, variant=variant, **desired)
        with self._database.session() as session:
            session.execute(insert.on_conflict_do_update(index_elements=["model", "variant"], set_=desired))

    def desired(self, model: str) -> dict[str, bool]:
        """Return whether each variant of a model is to be loaded; variants never set are absent."""
        query = select(DesiredVariant.variant, DesiredVariant.wanted).where(DesiredVariant.model == model)
        with self._database.snapshot() as session:
            return dict(session.execute(query).tuples().all())

    def forget(self, model: str) -> None:
        """Remove the desired state of a model, whose replicas follow the configuration again."""
        with self._database.session() as session:
            session.execute(delete(DesiredVariant).where(DesiredVariant.model == model))
