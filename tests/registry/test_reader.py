from llm4top.registry import read_records

STUDY = b"""<clinical_study>
  <id_info><nct_id>NCT90000001</nct_id></id_info>
  <brief_title>An invented trial</brief_title>
  <overall_status>Terminated</overall_status>
  <phase>Phase 2</phase>
</clinical_study>
"""


def test_one_xml_record(tmp_path):
    (tmp_path / "one.xml").write_bytes(STUDY)
    (record,) = read_records(tmp_path)
    assert record.nct_id == "NCT90000001"
    assert record.trial.phase == "Phase 2"
    assert record.registry_outcome.status == "Terminated"
    assert "overall_status" in {w.field for w in record.withheld}


def test_the_real_sample_reads_whole(test_data):
    reader = read_records(test_data / "registry" / "api_v2")
    assert sum(1 for _ in reader) == reader.summary.read > 200
    assert reader.summary.skipped == 0
