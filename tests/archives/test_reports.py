import pandas as pd
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from tlkit.archives import deidentify, multimodal
from tlkit.archives.reports import ReportsError, decode_text, read_reports
from tlkit.datasets import DATASETS

CARD, KEY = DATASETS["radiologynet"], b"k" * 32


def uid(name: str) -> str:
    return deidentify.pseudonym(KEY, "uid", name)


def accession(name: str) -> str:
    return deidentify.pseudonym(KEY, "accession", name) if name else ""


EXAMS = pd.DataFrame([(uid("1.1"), accession("A1")), (uid("1.2"), accession("A2")), (uid("1.3"), "")])
EXAMS.columns = ["exam", "accession"]


def read(tmp_path, data: bytes | str, exams=EXAMS) -> pd.Series:
    file = tmp_path / "reports.csv"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_reports(file, exams, KEY)


def test_reports_are_found_by_study_and_by_accession_number_and_missing_ones_are_counted(tmp_path):
    found = read(tmp_path, "exam,text\nA1,first\n1.3,by study\n9.9,of another archive\nA1, second \nA2,\n")
    assert found.to_dict() == {uid("1.1"): "first\nsecond", uid("1.2"): "", uid("1.3"): "by study"}
    assert found.index.is_monotonic_increasing and found.index.name == "exam"
    assert found.attrs == {"missing": 1, "other": 1, "cp1250": 0, "rejected": {}}


def test_columns_may_stand_in_any_order_beside_others_and_texts_may_have_lines(tmp_path):
    found = read(tmp_path, b'\xef\xbb\xbfdate,Text,EXAM\r\n2010,"Uredan\nnalaz, bez izljeva.",A2\r\n\r\n')
    assert found[uid("1.2")] == "Uredan\nnalaz, bez izljeva."


def test_an_accession_number_of_two_studies_gives_both_the_report(tmp_path):
    both = EXAMS.assign(accession=accession("A1"))
    assert set(read(tmp_path, "exam,text\nA1,one\n", both)) == {"one"}


def test_texts_in_cp1250_are_read_and_what_is_neither_is_rejected(tmp_path):
    text = "Ne vidi se znakova svježeg krvarenja – šupljina 37 °C „uredno“ … Größe"
    odd = b"\x00\x81\xff"  # cp1250 has no 0x81
    with pytest.warns(UserWarning, match="1 exams have a report that is neither UTF-8 nor cp1250"):
        found = read(tmp_path, b"exam,text\nA1," + text.encode("cp1250") + b"\nA2,\xc5\xbeila\n1.3," + odd + b"\n")
    assert found.to_dict() == {uid("1.1"): text, uid("1.2"): "žila", uid("1.3"): ""}
    assert found.attrs["cp1250"] == 1 and found.attrs["missing"] == 1
    assert found.attrs["rejected"] == {uid("1.3"): "the report is neither UTF-8 nor cp1250"}


@given(st.text(alphabet="abc žćčšđ äöüß °.,–", max_size=40))
def test_croatian_and_german_survive_both_encodings(text):
    utf8, old = (text.encode(name).decode("utf-8", "surrogateescape") for name in ("utf-8", "cp1250"))
    assert decode_text(utf8) == (text, False)
    if "\udc80" <= max(old, default="") <= "\udcff":
        assert decode_text(old) == (text, True)


@given(st.binary(max_size=30))
def test_no_bytes_break_the_reading(data):
    text, foreign = decode_text(data.decode("utf-8", "surrogateescape"))
    assert text is None or text.encode("cp1250" if foreign else "utf-8") == data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no column exam and no column text"),
        (b"id;report\n1;x\n", "no column exam and no column text"),
        (b"exam,report\n", "no column text"),
        ("exam,text\n".encode("utf-16"), "no column exam"),
        (b"exam,text\nA1,one,two\n", "line 2: 3 fields, not 2"),
        (b'exam,text\nA1,"open\n', "line 2"),
    ],
)
def test_a_table_of_another_kind_says_what_was_expected(tmp_path, data, words):
    with pytest.raises(ReportsError, match="Expected: a CSV in UTF-8") as error:
        read(tmp_path, data)
    assert words in str(error.value)


def test_without_the_file_the_error_says_so(tmp_path):
    trees.multimodal(tmp_path / "a")
    assert sorted(multimodal.reports(tmp_path / "a", CARD)) == [*[""] * 8, "Keine Fraktur.", "Uredan nalaz."]
    (tmp_path / "a" / "reports.csv").unlink()
    with pytest.raises(ReportsError, match=r"no reports.csv beside the DICOM files"):
        multimodal.reports(tmp_path / "a", CARD)
