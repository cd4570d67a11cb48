import pytest

from llm4top.data import read_label_file
from llm4top.errors import DatasetError
from llm4top.tasks import OUTCOME, task_from_labels

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
        (OUTCOME, ("failure", "success", "success"), ("failure", "success", "success")),
        (DAYS, ("99.9", "100", "1e3"), ("below 100 days", "100 days or more", "100 days or more")),
        (WHY, ("safety", "efficacy", "safety"), ("safety", "efficacy", "safety")),
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


def test_an_id_with_two_labels_has_none(tmp_path):
    text = "nctid,label\nNCT1,0\nNCT2,1\nNCT1,1\nNCT2,1\n"
    read = read_label_file(write(tmp_path, text), OUTCOME)
    assert read.labels == {"NCT2": "success"}
    assert read.conflicting == {"NCT1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nctid,result\nNCT1,1\n", "has no column label. Its columns are: nctid, result."),
        ("id,label\nNCT1,1\n", "has no column nctid. Its columns are: id, label."),
        ("", "has no column nctid, label. Its columns are: none."),
        (
            "nctid,label\nNCT1,1\nNCT2,maybe\nNCT3,2\n",
            "column 'label': 2 labels are no labels of task 'outcome': line 3: 'maybe', line 4: "
            "'2'. Its labels are: failure, success.",
        ),
        ('nctid,label\nNCT1,"1\n', "is no CSV file in UTF-8"),
    ],
)
def test_files_that_do_not_serve(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DatasetError) as caught:
        read_label_file(path, OUTCOME)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"nctid,label\nNCT1,\xff\n")
    with pytest.raises(DatasetError, match="is no CSV file in UTF-8"):
        read_label_file(path, OUTCOME)
    with pytest.raises(DatasetError, match=r"cannot be read: No such file.*Check the path"):
        read_label_file(tmp_path / "none.csv", OUTCOME)


def test_many_faults_are_counted_and_the_first_named(tmp_path):
    text = "nctid,label\n" + "".join(f"NCT{n},x\n" for n in range(9))
    with pytest.raises(DatasetError, match=r"9 labels .* line 6: 'x' and 4 more"):
        read_label_file(write(tmp_path, text), OUTCOME)
