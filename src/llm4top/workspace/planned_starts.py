"""The planned starts of stored records, which a forecast does not hold."""

from collections.abc import Iterable

from llm4top.registry.trial import Record
from llm4top.workspace.serving.parsing import UploadReader
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.views.portfolio_questions import Key


def planned_starts(files: Iterable[UploadedFile]) -> dict[Key, str | None]:
    """The planned start of each record of the files, None where it states none.

    The files are read in a process of their own, as uploads are. What cannot be read is left out.
    """
    reader = UploadReader()
    try:
        return {
            (record.source.name, record.source.sha256): record.trial.planned_start
            for file in files
            for record in reader.read(file.path, file.name)
            if isinstance(record, Record)
        }
    finally:
        reader.close()
