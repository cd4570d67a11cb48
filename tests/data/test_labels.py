import zipfile

import pytest

from llm4top.data.labels import read_label_file
from llm4top.errors import DatasetError
from llm4top.tasks.builtin import OUTCOME
from llm4top.tasks.task_file import task_from_labels

DAYS = task_from_labels("days", "How long?", ["1"], "ordinal", edges=(100.0,), unit="days")
WHY = task_from_labels("why", "Why?", ["safety", "efficacy"], "multiclass")


def write(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("task", "texts", "labels"),
    [
        (OUTCOME, ("0", "1", "1.0"), ("failure", "success", "success")),
        (OUTCOME, ("FALSE", "yes", "Success"), ("failure", "success", "success")),
        (OUTCOME, ("No", "1e0", "true"), ("failure", "success", "success")),
        (OUTCOME, ("failure", "success", "success"), ("failure", "success", "success")),
        (DAYS, ("99.9", "100", "1e3"), ("below 100 days", "100 days or more", "100 days or more")),
        (WHY, ("safety", "Efficacy", "SAFETY"), ("safety", "efficacy", "safety")),
    ],
)
def test_labels_in_the_words_of_the_task(tmp_path, task, texts, labels):
    lines = [f"NCT0000000{n},{text}" for n, text in enumerate(texts)]
    read = read_label_file(write(tmp_path, "\n".join(["nctid,label", *lines])), task)
    assert tuple(read.labels.values()) == labels
    assert read.rows == 3


def test_other_columns_are_passed_over_and_the_label_column_is_chosen(tmp_path):
    text = "\ufeffphase,NCT_ID,label,why\n1, nct00000001 ,x,safety\n2,NCT00000002,y,\n"
    read = read_label_file(write(tmp_path, text), WHY, column="why")
    assert read.labels == {"NCT00000001": "safety"}
    assert read.empty == 1


SPELLINGS = {
    "semicolons": "nctid;label\r\nNCT1;1\r\nNCT2;0\r\n",
    "tabs": "nctid\tlabel\nNCT1\t1\nNCT2\t0\n",
    "as Excel saves it": "\ufeffsep=;\r\nNCT Number;Label\r\nNCT1;1\r\nNCT2;0\r\n",
    "old Mac": "nctid,label\rNCT1,1\rNCT2,0",
    "index column": ",NCTId,label\n0,NCT1,1\n1,NCT2,0\n",
    "other names": "nct-id, LABEL ,note\nnct1 ,1,\nNCT2,0,x\n",
    "blank rows": "nctid,label\n\nNCT1,1\n,\n\nNCT2,0\n",
    "a separator in a text": 'nctid,label,note\nNCT1,1,"a;b;c;d\n\u2028e"\nNCT2,0,\n',
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_tables_as_programs_save_them(name, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(SPELLINGS[name].encode())
    assert read_label_file(path, OUTCOME).labels == {"NCT1": "success", "NCT2": "failure"}


def test_a_column_that_bears_the_very_name_goes_before_other_spellings(tmp_path):
    text = "NCT Number,nctid,Label,label\nNCT1,NCT2,0,1\n"
    assert read_label_file(write(tmp_path, text), OUTCOME).labels == {"NCT2": "success"}


def test_an_id_with_two_labels_has_none(tmp_path):
    text = "nctid,label\nNCT1,0\nNCT2,1\nNCT1,1\nNCT2,1\n"
    read = read_label_file(write(tmp_path, text), OUTCOME)
    assert read.labels == {"NCT2": "success"}
    assert read.conflicts == {"NCT1": [2, 4]}
    assert read.conflicts_named == (
        "1 trial has two different labels and no label therefore: NCT1 (lines 2, 4)."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "nctid,result\nNCT1,1\n",
            "has no column label. Its columns are: nctid, result. A column of labels with another "
            "name is chosen by --label-column.",
        ),
        ("id,label\nNCT1,1\n", "has no column nctid. Its columns are: id, label."),
        ("", "has no column nctid, label. Its columns are: none."),
        ("nctid,label,label\nNCT1,1,0\n", "the column label appears twice. Delete the one"),
        ("nctid,NCT_ID,Label,LABEL\nNCT1,NCT1,1,1\n", "the column label appears twice."),
        ("nctid,label\nNCT1,1\nNCT2\n", "line 3 has 1 cells, the header 2."),
        ("nctid,label\nNCT1,1,2\n", "line 2 has 3 cells, the header 2."),
        (
            "nctid,label\nNCT1,1\nNCT2,maybe\nNCT3,2\n",
            "column 'label': 2 labels are not of task 'outcome': line 3: 'maybe', line 4: "
            "'2'. Its labels are failure (or 0) and success (or 1).",
        ),
        ("nctid,label\nNCT1,maybe\n", "1 label is not of task 'outcome': line 2: 'maybe'."),
        ('nctid,label\nNCT1,"1\n', "is not a CSV file in UTF-8"),
        ('{"nctid": 1}', "is not a CSV file but JSON. Save it as CSV in UTF-8"),
        ("%PDF-1.7", "the file is a PDF document, not a record. Save it as CSV in UTF-8"),
    ],
)
def test_files_that_do_not_serve(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DatasetError) as caught:
        read_label_file(path, OUTCOME)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_workbook_is_named(tmp_path):
    path = tmp_path / "labels.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    with pytest.raises(DatasetError, match=r"is an Excel workbook, not a record\. Save it as CSV"):
        read_label_file(path, OUTCOME)


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"nctid,label\nNCT1,\xff\n")
    with pytest.raises(DatasetError, match="is not a CSV file in UTF-8"):
        read_label_file(path, OUTCOME)
    path.write_bytes("nctid,label\nNCT1,1\n".encode("utf-16"))
    with pytest.raises(DatasetError, match=r"the text is in UTF-16\. Save it as CSV in UTF-8"):
        read_label_file(path, OUTCOME)
    with pytest.raises(DatasetError, match=r"cannot be read: No such file.*Check the path"):
        read_label_file(tmp_path / "none.csv", OUTCOME)


def test_many_faults_are_counted_and_the_first_named(tmp_path):
    text = "nctid,label\n" + "".join(f"NCT{n},x\n" for n in range(9))
    with pytest.raises(DatasetError, match=r"9 labels are .* line 6: 'x' and 4 more"):
        read_label_file(write(tmp_path, text), OUTCOME)
