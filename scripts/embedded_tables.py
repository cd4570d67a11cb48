"""What edits of registry records do to a forecast of the embedded model, for its card."""

import random
import tempfile
import zipfile
from pathlib import Path

from llm4top.evaluation.probes.reading import reading_probe
from llm4top.forecasters.bundles.figures import CardTable
from llm4top.forecasters.forecaster import Forecaster
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record, Trial

_EDITED = 300
_LOOKED_AT = 1500


def what_it_reads(forecaster: Forecaster, archive: Path) -> CardTable | None:
    """What edits of registry records that were not learned from do; None without the records."""
    if not archive.is_file():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(archive) as members:
            names = sorted(name for name in members.namelist() if name.endswith(".xml"))
            for name in random.Random(1).sample(names, min(_LOOKED_AT, len(names))):
                (Path(scratch) / Path(name).name).write_bytes(members.read(name))
        trials = [
            record.trial
            for record in read_records(Path(scratch))
            if isinstance(record, Record)
            and forecaster.trained_on_part(record.nct_id) is None
            and _usual(record.trial)
        ]
    return reading_probe(forecaster, trials[:_EDITED]).card_table()


def _usual(trial: Trial) -> bool:
    medicine = any(item.type in ("Drug", "Biological") for item in trial.interventions)
    return medicine and bool(trial.criteria) and trial.phase in ("Phase 1", "Phase 2", "Phase 3")
