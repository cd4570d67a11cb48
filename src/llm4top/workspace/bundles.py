"""Bundles by id. The folder ``bundles`` is the truth: the rows follow its content.

So a bundle that was imported in a terminal is listed here, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from llm4top.errors import BundleError
from llm4top.files import delete_path, delete_remains
from llm4top.forecasters.bundles.paths import embedded_folder, is_embedded
from llm4top.workspace.database import Transactions, missing, storable
from llm4top.workspace.deletion import Eraser
from llm4top.workspace.tables import BundleRow

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.manifest import Manifest
    from llm4top.forecasters.bundles.store import StoredBundle
    from llm4top.forecasters.bundles.verify import VerifyReport

EMBEDDED = "embedded"
"""The id of the bundle that ships with the package."""


@dataclass(frozen=True, slots=True)
class WorkspaceBundle:
    """A bundle. ``identity`` names it for good, ``name`` is what it is called here.

    ``facts`` is its manifest without the list of files, with "model" for what computes, in a
    phrase. Forecasts that name no bundle are made with the default one; there is exactly one.
    """

    id: str
    name: str
    identity: str
    task: str
    is_default: bool
    facts: dict[str, Any]


class Bundles:
    """The bundles of a workspace: the embedded one, and those in ``bundles/<name>``.

    Files are verified when a bundle is taken in and whenever it is loaded, not when it is listed.
    """

    def __init__(self, session: Transactions, folder: Path, eraser: Eraser):
        self._session = session
        self._folder = folder
        self._eraser = eraser

    def list(self) -> Sequence[WorkspaceBundle]:
        """The embedded bundle, then the others by name. A damaged one is left out."""
        stored = self._sync()
        with self._session(write=False) as session:
            rows = session.scalars(select(BundleRow).order_by(BundleRow.name)).all()
        own = [_value(row, stored[row.name].manifest) for row in rows if row.name in stored]
        plain = not any(bundle.is_default for bundle in own)
        shipped = [
            _embedded(bundle, plain and name == EMBEDDED)
            for name, bundle in stored.items()
            if is_embedded(name)
        ]
        return [*shipped, *own]

    def get(self, bundle_id: str) -> WorkspaceBundle:
        """The bundle; ``NotFoundError`` where there is none, or its files are gone."""
        for bundle in self.list():
            if bundle.id == bundle_id:
                return bundle
        raise missing("bundle", bundle_id)

    def folder(self, bundle_id: str) -> Path:
        """Its folder; ``NotFoundError`` for an unknown id."""
        bundle = self.get(bundle_id)
        own = not is_embedded(bundle.id)
        return self._folder / bundle.name if own else embedded_folder(bundle.id)

    def place(self, bundle_id: str) -> str:
        """What loading takes for it: "embedded", "embedded:QUESTION", or its folder."""
        return bundle_id if is_embedded(bundle_id) else str(self.folder(bundle_id))

    def add(self, source: Path | str, *, name: str | None = None) -> WorkspaceBundle:
        """Take in a bundle: a zip that ``export_bundle`` wrote, or a bundle's folder.

        ``name`` is what to call it here, its own name if None. Raises what ``import_bundle``
        raises: nothing is taken in that does not match its manifest to the last byte.
        """
        from llm4top.forecasters.bundles.store import import_bundle

        stored = import_bundle(source, name=name, store=self._folder)
        return next(bundle for bundle in self.list() if bundle.name == stored.name)

    def export(self, bundle_id: str, file: Path | str) -> Path:
        """Verify it and pack it into one zip. Raises what ``export_bundle`` raises."""
        from llm4top.forecasters.bundles.store import export_bundle

        return export_bundle(self.folder(bundle_id), file)

    def verify(self, bundle_id: str) -> VerifyReport:
        """Check every file of it against its manifest."""
        from llm4top.forecasters.bundles.verify import verify_bundle

        return verify_bundle(self.folder(bundle_id))

    def default(self) -> WorkspaceBundle:
        """The bundle that forecasts where no other is chosen."""
        for bundle in self.list():
            if bundle.is_default:
                return bundle
        raise BundleError(
            "there is no bundle to forecast with.", hint="Install LLM4TOP again, or import one."
        )

    def set_default(self, bundle_id: str) -> WorkspaceBundle:
        """Make it the default, in place of the one that is.

        Raises ``BundleError`` for the embedded ones of other questions than "outcome": the default
        is what a person who chooses nothing wants to know.
        """
        bundle = self.get(bundle_id)
        if is_embedded(bundle_id) and bundle_id != EMBEDDED:
            raise BundleError(
                "this embedded bundle cannot be the default.",
                hint="Choose its question where you forecast.",
            )
        with self._session() as session:
            session.execute(update(BundleRow).where(BundleRow.is_default).values(is_default=False))
            if not is_embedded(bundle.id):
                session.execute(
                    update(BundleRow).where(BundleRow.id == bundle.id).values(is_default=True)
                )
        return self.get(bundle_id)

    def delete(self, bundle_id: str) -> None:
        """Delete it for good. Where it was the default, the embedded bundle is.

        Raises ``BundleError`` for an embedded one, which is part of the program.
        """
        bundle = self.get(bundle_id)
        if is_embedded(bundle.id):
            raise BundleError("the embedded bundle is part of the program and stays.")
        with self._session() as session:
            session.execute(delete(BundleRow).where(BundleRow.id == bundle_id))
            self._eraser.forget(session, bundle_id)
            delete_path(self._folder / bundle.name)
        self._eraser.wipe()

    def sweep(self) -> None:
        """Remove what killed processes left half deleted."""
        delete_remains(self._folder)

    def _sync(self) -> dict[str, StoredBundle]:
        """Update the rows from the folder's content; the bundles there, by name."""
        from llm4top.forecasters.bundles.store import list_bundles

        stored = {
            bundle.name: bundle
            for bundle in list_bundles(self._folder, on_problem=lambda _path, _error: None)
        }
        expected = {name: b.identity for name, b in stored.items() if not is_embedded(name)}
        with self._session(write=False) as session:
            found = session.execute(select(BundleRow.name, BundleRow.identity)).all()
        if {row.name: row.identity for row in found} != expected:
            try:
                with self._session() as session:
                    _rewrite(session, stored)
            except IntegrityError:
                pass  # Another process has just written the same rows.
        return stored


def _rewrite(session: Session, stored: dict[str, StoredBundle]) -> None:
    rows = {row.name: row for row in session.scalars(select(BundleRow))}
    for name in rows.keys() - stored.keys():
        session.delete(rows[name])
    for name, bundle in stored.items():
        if is_embedded(name):
            continue
        row = rows.get(name)
        if row is None or row.identity != bundle.identity:
            # Another bundle under the same name is another bundle.
            if row is not None:
                session.delete(row)
                session.flush()
            row = BundleRow(name=name, identity=bundle.identity, task=bundle.manifest.task.name)
            row.facts = facts_of(bundle.manifest)
            session.add(row)


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """The manifest as ``WorkspaceBundle.facts`` has it."""
    facts: dict[str, Any] = storable(manifest.model_dump(mode="json", exclude={"files"}))
    return {**facts, "model": manifest.model_name}


def _value(row: BundleRow, manifest: Manifest) -> WorkspaceBundle:
    facts = facts_of(manifest)  # a row's own may be of an earlier version
    return WorkspaceBundle(row.id, row.name, row.identity, row.task, row.is_default, facts)


def _embedded(bundle: StoredBundle, is_default: bool) -> WorkspaceBundle:
    manifest, name = bundle.manifest, bundle.name
    facts = facts_of(manifest)
    return WorkspaceBundle(name, name, manifest.identity, manifest.task.name, is_default, facts)
