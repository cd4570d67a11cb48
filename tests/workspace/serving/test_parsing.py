import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest

import llm4top
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from llm4top.registry.trial import ReadNote, Record
from llm4top.workspace.serving.parsing import (
    EndOfUpload,
    ParsingLimits,
    RawRecord,
    Refusal,
    UploadReader,
)

pytestmark = pytest.mark.slow

EXAMPLES = Path(llm4top.__file__).parent / "examples"


@pytest.fixture
def reader():
    readers = []

    def make(**limits):
        readers.append(UploadReader(ParsingLimits(**limits)))
        return readers[-1]

    yield make
    for made in readers:
        made.close()


def only(found):
    (item,) = found
    return item


def test_a_record_is_the_one_that_reading_here_gives(reader):
    path = EXAMPLES / "example_with_results.xml"
    read = only(reader().read(path, "mine.xml"))
    here = only(read_records(path))
    assert isinstance(read, Record)
    assert read.trial == here.trial
    assert read.registry_outcome == here.registry_outcome
    assert read.withheld == here.withheld
    assert read.source.name == "mine.xml"
    assert read.source.sha256 == here.source.sha256


def test_no_path_of_this_machine_is_told(reader, tmp_path):
    secret = tmp_path / "secret-folder"
    secret.mkdir()
    path = secret / "0f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.xml", "<clinical_study><broken></clinical_study>")
        archive.writestr("two.xml", (EXAMPLES / "example.xml").read_bytes())
    found = list(reader().read(path, "mine.zip"))
    refused = only(item for item in found if isinstance(item, Refusal))
    assert refused.record == "mine.zip!one.xml"
    assert refused.code == "MalformedRecordError"
    assert "secret-folder" not in json.dumps([refused.to_dict()])
    record = only(item for item in found if isinstance(item, Record))
    assert record.source.name == "mine.zip!two.xml"


def test_one_process_reads_upload_after_upload(reader):
    made = reader()
    list(made.read(EXAMPLES / "example.xml", "a.xml"))
    first = made.pid
    assert isinstance(only(made.read(EXAMPLES / "example.json", "b.json")), Record)
    assert made.pid == first


def test_what_is_beyond_the_most_records_is_left_and_said(reader, tmp_path):
    study = json.loads((EXAMPLES / "example.json").read_text())
    study = study["studies"][0] if "studies" in study else study
    path = tmp_path / "many"
    path.write_text(json.dumps([study] * 5))
    found = list(reader(max_records=3).read_raw(path, "many.json"))
    assert [type(item) for item in found] == [RawRecord] * 3 + [EndOfUpload]
    assert found[-1].more


def test_an_empty_archive_is_refused_by_name(reader, tmp_path):
    path = tmp_path / "0f"
    with zipfile.ZipFile(path, "w"):
        pass
    refused = only(reader().read(path, "empty.zip"))
    assert (refused.record, refused.reason) == ("empty.zip", "there is no record in it.")


def test_files_beside_records_are_noted_by_the_uploads_name(reader, tmp_path):
    path = tmp_path / "0f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Contents.txt", "a list")
        archive.write(EXAMPLES / "example.xml", "example.xml")
    record, note = reader().read(path, "all.zip")
    assert isinstance(record, Record)
    assert note == ReadNote("all.zip", "1 file that is not a record was passed over: Contents.txt.")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(reader, tmp_path):
    path = tmp_path / "0f"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.xml", b"0" * 30_000_000)
    refused = only(reader().read(path, "bomb.zip"))
    assert refused.code == "LimitError"
    assert "times" in refused.reason


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY e "x">]><clinical_study>&e;</clinical_study>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><clinical_study/>',
    ],
)
def test_entities_are_refused(reader, tmp_path, text):
    path = tmp_path / "0f"
    path.write_text(f'<?xml version="1.0"?>{text}')
    assert only(reader().read(path, "evil.xml")).code == "UnsafeRecordError"


def test_too_much_memory_is_a_refusal_and_the_next_upload_is_read(reader, tmp_path):
    path = tmp_path / "0f"
    path.write_text('[{"protocolSection": {"a": [' + "[0]," * 2_500_000 + "0]}}]")
    made = reader(
        memory_bytes=160_000_000,
        limits=Limits(record_bytes=100_000_000, values=100_000_000),
    )
    refused = only(made.read(path, "wide.json"))
    assert refused.code == "LimitError"
    assert refused.reason == "reading it takes more than 160 MB of memory."
    assert isinstance(only(made.read(EXAMPLES / "example.xml", "a.xml")), Record)


def test_a_process_that_hangs_is_ended(reader):
    made = reader(wall_seconds=0.5)
    made.start()
    first = made.pid
    time.sleep(1)  # it is up by now
    os.kill(first, signal.SIGSTOP)
    refused = only(made.read(EXAMPLES / "example.xml", "slow.xml"))
    assert refused.reason == "reading it takes more than 0.5 seconds."
    assert refused.hint == "Split it into smaller files."
    again = reader()
    assert isinstance(only(again.read(EXAMPLES / "example.xml", "a.xml")), Record)


def test_a_process_that_dies_costs_its_upload_alone(reader):
    made = reader()
    made.start()
    pid = made.pid
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    refused = only(made.read(EXAMPLES / "example.xml", "hard.xml"))
    assert refused.record == "hard.xml"
    assert (
        refused.reason == "the process that reads uploads stopped on it (it was ended by SIGKILL)."
    )
    assert isinstance(only(made.read(EXAMPLES / "example.xml", "a.xml")), Record)


def test_processor_time_is_bounded(reader, tmp_path):
    path = tmp_path / "0f"
    study = json.loads((EXAMPLES / "example.json").read_text())
    study = study["studies"][0] if "studies" in study else study
    path.write_text(json.dumps([study] * 4_000))
    made = reader(cpu_seconds=1)
    *_, last = made.read_raw(path, "endless.json")
    assert isinstance(last, Refusal)
    assert last.reason == "reading it takes more than 1 seconds of processor time."


def test_a_reading_left_early_leaves_nothing_for_the_next(reader, tmp_path):
    path = tmp_path / "0f"
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(20):
            archive.writestr(f"{n}.xml", (EXAMPLES / "example.xml").read_bytes())
    made = reader()
    next(iter(made.read(path, "many.zip")))
    found = only(made.read(EXAMPLES / "example.json", "b.json"))
    assert found.source.format == "api-v2"


def test_no_process_outlives_a_parent_that_is_killed():
    code = (
        "from llm4top.workspace.serving.parsing import UploadReader; import time\n"
        "reader = UploadReader(); reader.start(); print(reader.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(30)
    assert not child.is_running()
