"""Data sets by id: in the workspace's own folder, or in folders elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from llm4top.errors import DatasetError
from llm4top.files import delete_path
from llm4top.workspace.database import Transactions, changed_rows, find, missing, storable, value_of
from llm4top.workspace.deletion import Eraser, place_of, sweep
from llm4top.workspace.tables import DatasetRow, clean_text, new_id

if TYPE_CHECKING:
    from llm4top.data.card import DatasetCard
    from llm4top.data.dataset import Dataset


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A data set. ``task`` is its task's name, ``rows`` how many it has and ``card`` its card.

    ``sha256`` is the hash of its content; ``folder`` is None where the workspace keeps it.
    """

    id: str
    name: str
    task: str
    rows: int
    sha256: str
    folder: str | None
    card: dict[str, Any]
    created: datetime


class Datasets:
    """The data sets of a workspace; those it keeps lie in ``datasets/<id>``."""

    def __init__(self, session: Transactions, folder: Path, eraser: Eraser):
        self._session = session
        self._folder = folder
        self._eraser = eraser

    def add(self, folder: Path | str, *, name: str | None = None) -> StoredDataset:
        """Move a data set that was just made into the workspace, in one step.

        ``folder`` must be on the disk of the workspace (a run's folder is), and is gone
        afterwards. ``name`` is what to call it, the name on its card if None.
        Raises ``DatasetError`` where the folder is none or cannot be moved.
        """
        path = Path(folder)
        row = _row(path, name)
        target = self._folder / row.id
        with self._session() as session:
            row.name = _free_name(session, row.name)
            session.add(row)
            session.flush()
            try:
                path.rename(target)
            except OSError as error:
                raise DatasetError(
                    f"cannot be moved into the workspace ({error.strerror or error}).",
                    where=str(path),
                ) from error
        return value_of(StoredDataset, row)

    def register(self, folder: Path | str, *, name: str | None = None) -> StoredDataset:
        """List a data set that stays where it is; the same folder is always the same one.

        Raises ``DatasetError`` where the folder is none.
        """
        path = Path(folder).resolve()
        row = _row(path, name)
        row.folder = str(path)
        with self._session() as session:
            known = session.scalar(select(DatasetRow).where(DatasetRow.folder == str(path)))
            if known is None:
                row.name = _free_name(session, row.name)
                session.add(row)
                session.flush()
                known = row
            else:
                if name is not None and known.name != row.name:
                    known.name = _free_name(session, row.name)
                for column in ("task", "rows", "sha256", "card"):
                    setattr(known, column, getattr(row, column))
        return value_of(StoredDataset, known)

    def get(self, dataset_id: str) -> StoredDataset:
        """The data set; ``NotFoundError`` where there is none."""
        with self._session(write=False) as session:
            return value_of(StoredDataset, find(session, DatasetRow, dataset_id, "data set"))

    def folder(self, dataset_id: str) -> Path:
        """Its folder; ``NotFoundError`` for an unknown id."""
        found = self.get(dataset_id)
        if found.folder is not None:
            return Path(found.folder)
        return place_of(self._folder, dataset_id, "data set")

    def called(self, name: str) -> StoredDataset:
        """The data set of this name; ``DatasetError`` where none, or more than one, has it."""
        with self._session(write=False) as session:
            rows = session.scalars(select(DatasetRow).where(DatasetRow.name == name)).all()
            found = [value_of(StoredDataset, row) for row in rows]
            names = session.scalars(select(DatasetRow.name).order_by(DatasetRow.name)).all()
        if len(found) == 1:
            return found[0]
        if found:
            raise DatasetError(
                f"{len(found)} data sets have this name.",
                where=name,
                hint="Rename all but one in the Studio, or give a folder.",
            )
        known = ", ".join(dict.fromkeys(names)) or "none yet"
        raise DatasetError(
            "there is no such folder, nor a data set of this name.",
            where=name,
            hint=f"Make one with `llm4top ingest`. Data sets of the Studio: {known}.",
        )

    def rename(self, dataset_id: str, name: str) -> StoredDataset:
        """Call it otherwise; ``DatasetError`` for no name, or one that another has."""
        wanted = clean_text(name).strip()
        with self._session() as session:
            row = find(session, DatasetRow, dataset_id, "data set")
            taken = select(DatasetRow.id).where(
                DatasetRow.name == wanted, DatasetRow.id != dataset_id
            )
            if not wanted or session.scalar(taken) is not None:
                raise DatasetError(
                    "another data set has this name." if wanted else "a data set needs a name.",
                    where=wanted or None,
                    hint="Choose another name.",
                )
            row.name = wanted
            session.flush()
            return value_of(StoredDataset, row)

    def load(self, dataset_id: str) -> Dataset:
        """Read it. Raises what ``load_dataset`` raises: its files may have gone or changed."""
        from llm4top.data.dataset import load_dataset

        return load_dataset(self.folder(dataset_id))

    def list(
        self, *, sha256: str | None = None, limit: int | None = 100, offset: int = 0
    ) -> Sequence[StoredDataset]:
        """Data sets, newest first; with ``sha256`` those of that content."""
        query = select(DatasetRow).order_by(DatasetRow.created.desc(), DatasetRow.id)
        if sha256 is not None:
            query = query.where(DatasetRow.sha256 == sha256)
        with self._session(write=False) as session:
            rows = session.scalars(query.limit(limit).offset(offset))
            return [value_of(StoredDataset, row) for row in rows]

    def count(self) -> int:
        """How many there are."""
        with self._session(write=False) as session:
            return session.scalar(select(func.count()).select_from(DatasetRow)) or 0

    def delete(self, dataset_id: str) -> None:
        """Delete one that the workspace keeps for good; one elsewhere is no longer listed.

        Raises ``NotFoundError`` where there is none.
        """
        with self._session() as session:
            own = find(session, DatasetRow, dataset_id, "data set").folder is None
            gone = session.execute(delete(DatasetRow).where(DatasetRow.id == dataset_id))
            if changed_rows(gone) != 1:
                raise missing("data set", dataset_id)
            self._eraser.forget(session, dataset_id)
            if own:
                delete_path(place_of(self._folder, dataset_id, "data set"))
        self._eraser.wipe()

    def sweep(self) -> None:
        """Remove what killed processes left behind."""
        with self._session(write=False) as session:
            sweep(self._folder, set(session.scalars(select(DatasetRow.id))))


def _row(folder: Path, name: str | None) -> DatasetRow:
    card = _card(folder)
    return DatasetRow(
        id=new_id(),
        name=clean_text(name or card.name),
        task=str(card.task["name"]),
        rows=card.rows,
        sha256=card.sha256,
        card=storable(card.model_dump(mode="json")),
    )


def _free_name(session: Session, name: str) -> str:
    """The name, with a number where another data set has it: names tell data sets apart."""
    taken = set(session.scalars(select(DatasetRow.name)))
    others = (f"{name} {number}" for number in count(2))
    return next(free for free in (name, *islice(others, len(taken))) if free not in taken)


def _card(folder: Path) -> DatasetCard:
    """The card alone: whether the rows match it is checked whenever they are read."""
    from llm4top.data.card import DatasetCard

    try:
        return DatasetCard.model_validate_json((folder / "card.json").read_bytes())
    except (OSError, ValueError) as error:
        reason = "it has no card" if isinstance(error, FileNotFoundError) else "its card is damaged"
        raise DatasetError(
            f"is not a data set that this version can read: {reason}.",
            where=str(folder),
            hint="Make the data set again with `llm4top ingest`.",
        ) from error
