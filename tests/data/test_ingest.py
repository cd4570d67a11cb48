import csv
import resource
import zipfile

import pytest

from llm4top.data import shared_reading, spool
from llm4top.data.dataset import load_dataset
from llm4top.data.ingest import ingest
from llm4top.data.sources import SourcePath
from llm4top.data.splits import OwnSplit, RandomSplit, TimeSplit
from llm4top.errors import DatasetError, LimitError, SplitError, UnsafeRecordError
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task_file import task_from_labels

COLUMNS = [
    "nctid",
    "status",
    "why_stop",
    "label",
    "phase",
    "diseases",
    "icdcodes",
    "drugs",
    "smiless",
    "criteria",
]


def nct(number):
    return f"NCT{99_990_000 + number:08d}"


def top_row(number, label, phase="phase 1", **changes):
    row = {
        "nctid": nct(number),
        "status": "completed" if label else "terminated",
        "why_stop": "" if label else "slow accrual",
        "label": label,
        "phase": phase,
        "diseases": f"['condition {number % 3}']",
        "icdcodes": "[\"['J45.9', 'J45.0']\"]",
        "drugs": f"['compound {number}']",
        "smiless": "['CCO']",
        "criteria": f"Inclusion Criteria:\n\n  -  Adults, group {number}",
    }
    return {**row, **changes}


def write_top(folder, files):
    """``files``: name without suffix -> rows of ``top_row``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    return folder


def legacy_xml(
    number,
    *,
    status="Completed",
    phase="Phase 2",
    start="March 2010",
    processed="February 03, 2031",
    title=None,
    study_type="Interventional",
):
    begun = f"<start_date>{start}</start_date>" if start else ""
    return f"""<clinical_study>
  <required_header>
    <download_date>ClinicalTrials.gov processed this data on {processed}</download_date>
  </required_header>
  <id_info><nct_id>{nct(number)}</nct_id></id_info>
  <brief_title>{title or f"Study {number} of an invented compound"}</brief_title>
  <sponsors><lead_sponsor><agency>Invented</agency><agency_class>Other</agency_class>
  </lead_sponsor></sponsors>
  <overall_status>{status}</overall_status>
  {begun}
  <phase>{phase}</phase>
  <study_type>{study_type}</study_type>
  <condition>asthma</condition>
  <study_first_submitted>January 5, 2009</study_first_submitted>
</clinical_study>
"""


def write_registry(folder, records):
    folder.mkdir(parents=True, exist_ok=True)
    for position, text in enumerate(records):
        (folder / f"{position:04d}.xml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def top_folder(tmp_path):
    """TOP in little: one trial of two phases in train of I and valid of II, one of valid II and
    test III, one in both trains."""
    return write_top(
        tmp_path / "top",
        {
            "phase_I_train": [
                top_row(1, 1),
                top_row(2, 0),
                top_row(10, 1, "phase 1/phase 2"),
                top_row(11, 0, "phase 1/phase 2"),
            ],
            "phase_I_valid": [top_row(3, 1), top_row(4, 0)],
            "phase_II_train": [
                top_row(20, 1, "phase 2"),
                top_row(11, 0, "phase 1/phase 2"),
            ],
            "phase_II_valid": [
                top_row(10, 1, "phase 1/phase 2"),
                top_row(21, 0, "phase 2"),
                top_row(30, 1, "phase 2/phase 3"),
            ],
            "phase_III_test": [top_row(30, 1, "phase 2/phase 3"), top_row(31, 0, "phase 3")],
        },
    )


def split_of(dataset):
    return dict(zip(dataset.nct_ids, dataset.splits, strict=True))


def test_top_pooled_over_all_phases(top_folder, tmp_path):
    made = ingest(top_folder, tmp_path / "out")
    assert split_of(made) == {
        nct(1): "train",
        nct(2): "train",
        nct(11): "train",
        nct(20): "train",
        nct(3): "valid",
        nct(4): "valid",
        nct(10): "valid",
        nct(21): "valid",
        nct(30): "test",
        nct(31): "test",
    }
    files = dict(zip(made.nct_ids, made.files, strict=True))
    assert files[nct(11)] == ("phase_I_train.csv", "phase_II_train.csv")
    trial = made.trials[made.nct_ids.index(nct(11))]
    assert trial.phase == "Phase 1/Phase 2"
    assert trial.icd_codes == ("J45.9", "J45.0")
    assert made.labels[made.nct_ids.index(nct(11))] == "failure"


def test_the_card_tells_what_happened(top_folder, tmp_path):
    card = ingest(top_folder, tmp_path / "out", name="little").card
    assert card.name == "little"
    assert card.dropped == {
        "also in a validation file: left out of train": 1,
        "also in a test file: left out of valid": 1,
    }
    assert {d.nct_id for d in card.dropped_first} == {nct(10), nct(30)}
    assert card.notes == {"copies of one trial merged into one row": 1}
    assert card.split_rule == "the source's own split, one trial in one split only"
    rows = {file.name: file.rows for file in card.provenance}
    assert rows["phase_I_train.csv"] == 3
    assert sum(rows.values()) == card.rows == 10
    assert all(len(file.sha256) == 64 for file in card.provenance)
    assert "non-commercial" in card.terms[0]
    assert "may not be redistributed" in card.terms[0]


def test_one_phase_of_top_still_minds_the_others(top_folder, tmp_path):
    made = ingest(top_folder, tmp_path / "out", phases=["I"])
    assert split_of(made) == {
        nct(1): "train",
        nct(2): "train",
        nct(11): "train",
        nct(3): "valid",
        nct(4): "valid",
    }
    made = ingest(top_folder, tmp_path / "two", phases=["II"])
    assert nct(30) not in made.nct_ids
    assert split_of(made)[nct(10)] == "valid"


def test_a_new_split_of_top_leaves_its_test_files_sealed(top_folder, tmp_path):
    made = ingest(top_folder, tmp_path / "out", split=RandomSplit((0.5, 0.25, 0.25)))
    assert not {nct(30), nct(31)} & set(made.nct_ids)
    assert made.card.dropped["in a test file of its source, which no other split may use"] == 2
    assert nct(10) in made.nct_ids


def test_top_by_date(top_folder, tmp_path):
    with (top_folder / "titles_and_dates.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["nctid", "title", "first_submitted", "start_date", "completion_date"])
        for number, start in ((1, "May 2001"), (2, "June 5, 2005"), (3, "2009-01-02")):
            writer.writerow([nct(number), "A title", "", start, ""])
        writer.writerow([nct(4), "", "2010-01-01", "", ""])
    made = ingest(top_folder, tmp_path / "out", split=TimeSplit("2005", "2008"))
    assert split_of(made) == {
        nct(1): "train",
        nct(2): "valid",
        nct(3): "test",
    }
    assert set(made.start_dates) == {"2001-05", "2005-06-05", "2009-01-02"}
    assert made.card.dropped["without a date to split by"] == 4
    assert made.card.dropped["without a start date, registered after the training part"] == 1
    assert "A title" not in repr(list(made.trials))


def test_label_side_columns_are_in_no_trial(top_folder, tmp_path):
    made = ingest(top_folder, tmp_path / "out")
    text = repr(list(made.trials))
    for told in ("terminated", "completed", "slow accrual", "NCT"):
        assert told not in text
    expected = {
        "success": ("Completed", None),
        "failure": ("Terminated", "slow accrual"),
    }
    for label, *told in zip(made.labels, made.statuses, made.why_stopped, strict=True):
        assert tuple(told) == expected[label]


def test_completion_from_registry_records(tmp_path):
    statuses = ["Completed", "Terminated", "Recruiting", "Withdrawn", "Completed"]
    records = [
        legacy_xml(n, status=status, start=f"March {2001 + n}") for n, status in enumerate(statuses)
    ]
    folder = write_registry(tmp_path / "xml", records)
    made = ingest(folder, tmp_path / "out", task="completion", split=TimeSplit("2004", "2005"))
    assert dict(zip(made.nct_ids, made.labels, strict=True)) == {
        nct(0): "completed",
        nct(1): "stopped",
        nct(3): "stopped",
        nct(4): "completed",
    }
    assert made.splits == ("train", "train", "valid", "test")
    assert made.card.dropped == {"without a label for this task": 1}
    assert "processed on 2031-02-03" in made.card.terms[0]


def test_a_zip_and_its_folder_are_the_same_data_set(tmp_path):
    records = [legacy_xml(n, start=f"March {2001 + n}") for n in range(10)]
    folder = write_registry(tmp_path / "xml", records)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for n, text in reversed(list(enumerate(records))):
            archive.writestr(f"NCT9999xxxx/{nct(n)}.xml", text)
    one = ingest(folder, tmp_path / "one", task="completion")
    two = ingest(tmp_path / "all.zip", tmp_path / "two", task="completion")
    assert one.sha256 == two.sha256
    assert one.splits.count("train") == 8


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A zip and a folder of records of which some are refused, passed over or without a label."""
    place = tmp_path_factory.mktemp("mixed")
    statuses = ["Completed", "Terminated", "Recruiting"]
    members = {
        f"{n // 10}/{nct(n)}.xml": legacy_xml(n, status=statuses[n % 3], start=f"May {1990 + n}")
        for n in range(40)
    }
    members |= {"1/broken.xml": "<clinical_study><a>", "0/Contents.txt": "A list of contents."}
    members |= {"2/read.me.txt": "Words.", "3/record.json": "{", "3/.hidden": "x"}
    members = dict(sorted(members.items()))
    with zipfile.ZipFile(place / "all.zip", "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
            (place / "all" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "all" / name).write_text(text)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("source", ["all.zip", "all"])
def test_several_processes_make_the_data_set_of_one(mixed, tmp_path, monkeypatch, source):
    labels = tmp_path / "labels.csv"
    labels.write_text("nctid,label\n" + "".join(f"{nct(n)},{n % 2}\n" for n in range(30)))
    monkeypatch.setattr(spool, "_FEWEST_TO_SHARE", 8)
    monkeypatch.setattr(spool, "CHUNK", 7)
    told = []

    def make(workers, **more):
        refused, noted = [], []
        made = ingest(
            mixed / source,
            tmp_path / f"made-{workers}-{len(more)}",
            name="made",
            workers=workers,
            on_refusal=lambda error: refused.append((type(error), str(error))),
            on_note=lambda note: noted.append(str(note)),
            **more,
        )
        told.append((refused, noted))
        return made

    labelled = {"task": "outcome", "labels": labels, "phases": ["II"]}
    for more in [{"task": "completion"}, labelled][: 1 + (source == "all.zip")]:
        one, two = make(1, **more), make(2, **more)
        assert one.nct_ids == two.nct_ids
        assert [*one.trials] == [*two.trials]
        assert two.card.model_copy(update={"created": one.card.created}) == one.card
        assert told[-1] == told[-2]
    assert len(told[0][0]) == 2
    assert [path.name for path in tmp_path.glob(".ingest-*")] == []


@pytest.mark.parametrize(("workers", "expected"), [(-1, 1), (1, 1), (2, 2), (99, 4)])
def test_no_process_is_without_a_chunk(mixed, monkeypatch, workers, expected):
    monkeypatch.setattr(spool, "_FEWEST_TO_SHARE", 8)
    monkeypatch.setattr(spool, "CHUNK", 11)  # of 43 files that are not hidden
    reading = spool.Reading(task=get_task("completion"), rule=None, workers=workers)
    assert reading.processes(SourcePath(mixed / "all")) == expected


@pytest.mark.slow
def test_a_process_that_stops_is_told_and_leaves_nothing(mixed, tmp_path, monkeypatch):
    start = shared_reading._child

    def child(job, workers):
        module = "llm4top.no_such_module" if job["worker"] else "llm4top.data.reading_child"
        monkeypatch.setattr(shared_reading, "_MODULE", module)
        return start(job, workers)

    monkeypatch.setattr(spool, "_FEWEST_TO_SHARE", 8)
    monkeypatch.setattr(spool, "CHUNK", 1)
    monkeypatch.setattr(shared_reading, "_child", child)
    with pytest.raises(DatasetError, match=r"stopped \(exit code 1\)") as caught:
        ingest(mixed / "all.zip", tmp_path / "out", task="completion", workers=2)
    assert "--workers 1" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_registry_records_joined_with_labels(tmp_path):
    folder = write_registry(tmp_path / "xml", [legacy_xml(n) for n in range(4)])
    labels = tmp_path / "labels.csv"
    labels.write_text(f"nctid,label,x\n{nct(0)},1,\n{nct(1)},0,\n{nct(2)},,\n{nct(9)},1,\n")
    made = ingest(folder, tmp_path / "out", labels=labels, split=RandomSplit((1.0, 0.0, 0.0)))
    assert dict(zip(made.nct_ids, made.labels, strict=True)) == {
        nct(0): "success",
        nct(1): "failure",
    }
    assert made.card.dropped == {"not in the label file": 2}
    assert made.card.notes == {
        "labels without a record": 1,
        "rows of the label file without a label": 1,
    }
    assert "labels.csv" in [file.name for file in made.card.provenance]


def test_a_task_of_ones_own(tmp_path):
    folder = write_registry(tmp_path / "xml", [legacy_xml(n) for n in range(3)])
    labels = tmp_path / "labels.csv"
    labels.write_text("nctid,days\n" + "".join(f"{nct(n)},{100 * n}\n" for n in range(3)))
    task = task_from_labels("days", "How long?", ["0"], "ordinal", edges=(100, 200), unit="days")
    split = RandomSplit((1.0, 0.0, 0.0))
    made = ingest(
        folder, tmp_path / "out", task=task, labels=labels, label_column="days", split=split
    )
    assert made.labels == ("below 100 days", "100 to 200 days", "200 days or more")
    assert load_dataset(tmp_path / "out").task == task


def test_registry_records_of_chosen_phases(tmp_path):
    phases = ["Phase 1", "Phase 1/Phase 2", "Phase 2", "Early Phase 1", "N/A"]
    records = [legacy_xml(n, phase=phase) for n, phase in enumerate(phases)]
    folder = write_registry(tmp_path / "xml", records)
    split = RandomSplit((1.0, 0.0, 0.0))
    made = ingest(folder, tmp_path / "out", task="completion", phases=["I"], split=split)
    assert set(made.nct_ids) == {nct(0), nct(1), nct(3)}
    assert made.card.dropped == {"of another phase than chosen": 2}


def test_the_newest_record_of_a_trial_counts(tmp_path):
    records = [
        legacy_xml(1, status="Suspended", processed="May 1, 2030"),
        legacy_xml(1, status="Completed", processed="May 1, 2031"),
    ]
    folder = write_registry(tmp_path / "xml", records)
    split = RandomSplit((1.0, 0.0, 0.0))
    made = ingest(folder, tmp_path / "out", task="completion", split=split)
    assert made.labels == ("completed",)
    assert made.card.notes == {"older records of a trial replaced by the newest": 1}


def test_enriched_trials_keep_what_the_data_set_brings(top_folder, tmp_path):
    records = [
        legacy_xml(1, phase="Phase 1", start="July 2008", title="Told by the registry"),
        legacy_xml(99),
    ]
    folder = write_registry(tmp_path / "xml", records)
    made = ingest(top_folder, tmp_path / "out", enrich=folder)
    position = made.nct_ids.index(nct(1))
    trial = made.trials[position]
    assert trial.brief_title == "Told by the registry"
    assert trial.icd_codes == ("J45.9", "J45.0")
    assert trial.smiles == ("CCO",)
    assert made.start_dates[position] == "2008-07"
    assert made.first_submitted[position] == "2009-01-05"
    assert made.labels[position] == "success"
    assert made.statuses == ingest(top_folder, tmp_path / "alone").statuses
    assert len(made) == 10
    assert made.card.notes["rows with the trial of their registry record"] == 1
    assert len(made.card.terms) == 2
    plain = ingest(top_folder, tmp_path / "plain")
    assert plain.trials[position].brief_title is None


def test_broken_neighbours_are_counted_and_handed_on(tmp_path):
    folder = write_registry(
        tmp_path / "xml", [legacy_xml(1), "<clinical_study><oops>", legacy_xml(2)]
    )
    refused = []
    split = RandomSplit((1.0, 0.0, 0.0))
    made = ingest(
        folder, tmp_path / "out", task="completion", split=split, on_refusal=refused.append
    )
    assert len(made) == 2
    assert len(refused) == 1
    assert made.card.dropped == {"cannot be read: MalformedRecordError": 1}


def test_progress_and_limit(tmp_path):
    folder = write_registry(tmp_path / "xml", [legacy_xml(n) for n in range(20)])
    seen = []
    made = ingest(
        folder,
        tmp_path / "out",
        task="completion",
        limit=5,
        split=RandomSplit(),
        on_progress=seen.append,
    )
    assert len(made) == 5
    assert (seen[-1].stage, seen[-1].done, seen[-1].figures["kept"]) == ("reading", 5, 5)


def test_a_label_that_the_task_does_not_know_is_left_out(tmp_path):
    folder = write_top(tmp_path / "top", {"phase_I_train": [top_row(1, 1), top_row(2, "maybe")]})
    made = ingest(folder, tmp_path / "out")
    assert made.card.dropped == {"with the label 'maybe', which is not one of the task's": 1}


def test_labels_in_other_spellings_are_read(tmp_path):
    rows = [top_row(1, "1.0"), top_row(2, "0.0"), top_row(3, "Success"), top_row(4, "TRUE")]
    made = ingest(write_top(tmp_path / "top", {"phase_I_train": rows}), tmp_path / "out")
    assert made.labels == ("success", "failure", "success", "success")


def test_conflicting_labels_are_named_by_line(top_folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(f"nctid,label\n{nct(1)},1\n{nct(2)},0\n{nct(1)},0\n{nct(3)},1\n")
    seen = []
    made = ingest(top_folder, tmp_path / "out", labels=labels, on_note=seen.append)
    assert nct(1) not in made.nct_ids
    assert [str(note) for note in seen] == [
        f"{labels}: 1 trial has two different labels and no label therefore: {nct(1)} (lines 2, 4)."
    ]


def test_a_label_file_of_other_trials(top_folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("nctid,label\nNCT77777777,1\n")
    with pytest.raises(DatasetError, match="none of the 13 records is in the label file, which"):
        ingest(top_folder, tmp_path / "out", labels=labels)


def test_an_unlabelled_test_row_still_seals_its_trial(tmp_path):
    folder = write_top(
        tmp_path / "top",
        {
            "phase_I_train": [top_row(1, 1), top_row(2, 0)],
            "phase_II_test": [top_row(1, "")],
        },
    )
    made = ingest(folder, tmp_path / "out")
    assert made.nct_ids == (nct(2),)


@pytest.mark.parametrize("room", [0, 3_000])
def test_a_full_disk_is_an_error_that_names_the_folder_and_leaves_nothing(tmp_path, room):
    """A limit on the size of files stands in for the disk; it fails the same calls."""
    folder = write_registry(tmp_path / "xml", [legacy_xml(n) for n in range(20)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(DatasetError) as caught:
            ingest(folder, tmp_path / "out", task="completion", split=RandomSplit())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'out'}: cannot be written: ")
    assert text.endswith("Check the disk's free space and the folder's permissions.")
    assert [path.name for path in tmp_path.iterdir()] == ["xml"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sources": "nowhere"}, DatasetError, "nowhere: does not exist. Check the path."),
        ({"enrich": "nowhere.zip"}, DatasetError, "nowhere.zip: does not exist"),
        ({"labels": "nowhere.csv"}, DatasetError, "nowhere.csv: does not exist"),
        ({"phases": ["5"]}, DatasetError, "'5': no phase. Phases are I, II, III, IV."),
        ({"task": "completion"}, DatasetError, "none of the 13 records has a label. Add"),
        (
            {"task": task_from_labels("own", "Will it?", ["0", "1"], "binary")},
            DatasetError,
            "task 'own' has no rule that reads its label off a record. Add a CSV",
        ),
        ({"out": "."}, DatasetError, "exists and is not a data set"),
        ({"out": "top/phase_I_train.csv/out"}, DatasetError, "out: cannot be written: File exists"),
    ],
)
def test_what_cannot_be_made(top_folder, tmp_path, monkeypatch, options, error, message):
    monkeypatch.chdir(tmp_path)
    arguments = {"sources": top_folder, "out": "out", **options}
    with pytest.raises(error) as caught:
        ingest(arguments.pop("sources"), arguments.pop("out"), **arguments)
    assert message in str(caught.value)
    assert {p.name for p in tmp_path.iterdir()} == {"top"}


def zip_of(folder, target, prefix="data/", **more):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{prefix}{file.name}")
        for name, content in more.items():
            archive.writestr(name, content)
    return target


@pytest.mark.parametrize("prefix", ["", "repository-main/data/", "..\\..\\", "/tmp/"])
def test_top_in_a_zip_is_its_folder_wherever_it_lies_inside(top_folder, tmp_path, prefix):
    file = zip_of(top_folder, tmp_path / "top.zip", prefix, **{"README.md": "# TOP"})
    made = ingest(file, tmp_path / "out" / "zipped")
    plain = ingest(top_folder, tmp_path / "plain")
    assert made.sha256 == plain.sha256
    assert made.card.provenance == plain.card.provenance
    assert made.card.split_rule == plain.card.split_rule
    # Neither a file outside of the folder that was asked for, nor anything left of the unpacking.
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"zipped"}
    assert not (tmp_path.parent / "phase_I_train.csv").exists()


def test_two_files_of_one_name_in_a_zip_are_refused(top_folder, tmp_path):
    copy = (top_folder / "phase_I_train.csv").read_bytes()
    file = zip_of(top_folder, tmp_path / "top.zip", **{"old/phase_I_train.csv": copy})
    with pytest.raises(DatasetError, match=r"holds phase_I_train\.csv more than once"):
        ingest(file, tmp_path / "out")


def test_an_archive_under_a_name_of_top_is_refused(top_folder, tmp_path):
    inner = zip_of(top_folder, tmp_path / "inner.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "top.zip", "w") as archive:
        archive.writestr("phase_I_train.csv", inner)
    with pytest.raises(UnsafeRecordError, match="is not a CSV file"):
        ingest(tmp_path / "top.zip", tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"top", "inner.zip", "top.zip"}


def test_a_bomb_under_a_name_of_top_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "top.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("phase_I_train.csv", "nctid\n" + "0" * 20_000_000)
    with pytest.raises(LimitError, match="grows"):
        ingest(tmp_path / "top.zip", tmp_path / "out")
    monkeypatch.setattr("llm4top.data.sources.MOST_BYTES", 1000)
    with pytest.raises(LimitError, match="unpack to more than 1\u202f000 bytes"):
        ingest(tmp_path / "top.zip", tmp_path / "out")


def test_records_without_a_split_of_their_own(tmp_path):
    folder = write_registry(tmp_path / "xml", [legacy_xml(1)])
    with pytest.raises(SplitError, match="have no split of their own"):
        ingest(folder, tmp_path / "out", task="completion", split=OwnSplit())


def test_a_folder_of_nothing_but_broken_records_says_why(tmp_path):
    folder = write_registry(tmp_path / "xml", ["<clinical_study><oops>"])
    with pytest.raises(DatasetError, match=r"The first refusal: .*0000.xml"):
        ingest(folder, tmp_path / "out", task="completion")


def test_the_real_benchmark(test_data, tmp_path):
    made = ingest(test_data / "top", tmp_path / "all")
    assert made.splits.count("train") == 1797
    assert load_dataset(tmp_path / "all").sha256 == made.sha256


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "train", "valid"), [("I", 1012, 117), ("II", 803, 446), ("III", 373, 344)]
)
def test_each_phase_of_the_real_benchmark(test_data, tmp_path, phase, train, valid):
    """Sizes as counted over the upstream files by hand (see the data's own description)."""
    made = ingest(test_data / "top", tmp_path / "out", phases=[phase])
    assert (made.splits.count("train"), made.splits.count("valid")) == (train, valid)


def test_real_records_joined_with_real_labels(test_data, tmp_path):
    made = ingest(
        test_data / "registry" / "AllPublicXML-sample.zip",
        tmp_path / "out",
        labels=test_data / "labels" / "outcome_for_registry_sample.csv",
    )
    late = "without a start date, registered after the training part"
    assert (
        len(made) + sum(made.card.dropped.get(r, 0) for r in (late, "without a date to split by"))
        == 437
    )
    shares = [made.splits.count(split) / len(made) for split in ("train", "valid", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.06)
    assert made.card.dropped["not in the label file"] == 6328 - 437
