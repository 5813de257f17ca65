"""What a CSV leaves open: read where it can be read in one way only, and said; refused with an example where not."""
# ruff: noqa: E501 - messages stand here as people see them

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from driftloop.stages.celltext import MixedColumnError, UnclearColumnError
from driftloop.stages.collect import DuplicateColumnsError, read_csv_sample, read_files
from driftloop.stages.csvfile import EmptyDataError, UnreadableDataError
from driftloop.stages.tablenotes import reading_notes


@pytest.fixture
def read(tmp_path):
    """Read bytes or text as a file named x.csv; return its columns and the notes."""

    def read(content):
        path = tmp_path / "x.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        table = read_files([path], "x.csv")
        return table.to_pydict(), reading_notes(table)

    return read


def column(*values):
    return "x\n" + "".join(f'"{value}"\n' for value in values)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("a;b\n1;é\n", "the columns are parted by semicolons"),
        ("a\tb\n1\té\n", "the columns are parted by tabs"),
        ("a|b\n1|é\n", "the columns are parted by vertical bars"),
        ("sep=;\r\na;b\r\n1;é\r\n", "the columns are parted by semicolons"),
        ("a,b\n1,é\n".encode("utf-16"), "the text was read as UTF-16"),
        ("a,b\n1,é\n".encode("utf-16-le"), "the text was read as UTF-16-LE"),
        ("a,b\n1,é\n".encode("cp1252"), "the text was read as Windows-1252"),
        ("a,b,\n1,é,\n", "the delimiter at the end of each line was left out"),
        ("a,b\n1,é,\n", "the delimiter at the end of each line was left out"),
        (" a , b\n1,é\n", "spaces around column names were left out"),
        ("\ufeffa,b\n1,é\n", None),
        ("\n\na,b\n 1 , é \n", None),
    ],
    ids=repr,
)
def test_dialects_and_encodings_give_the_same_table(read, content, note):
    assert read(content) == ({"a": [1], "b": ["é"]}, [note] if note else [])


def test_japanese_text_is_told_from_accents(read):
    columns, notes = read("名前,都市\nたろう,東京\nはなこ,大阪\n".encode("cp932"))
    assert columns == {"名前": ["たろう", "はなこ"], "都市": ["東京", "大阪"]}
    assert notes == ["the text was read as Shift JIS"]


@pytest.mark.parametrize(
    ("texts", "values", "note"),
    [
        (["1,234.5", "12"], [1234.5, 12.0], "'x': '1,234.5' was read as 1234.5"),
        (["1,234", "12"], [1234, 12], "'x': '1,234' was read as 1234"),
        (["1,5", "2,25"], [1.5, 2.25], "'x': '1,5' was read as 1.5"),
        (["1.234,5", "2,0"], [1234.5, 2.0], "'x': '1.234,5' was read as 1234.5"),
        (["1 234", "5"], [1234, 5], "'x': '1 234' was read as 1234"),
        (["1'234.5", "5"], [1234.5, 5.0], "'x': '1'234.5' was read as 1234.5"),
        (["5%", "7.5 %"], [0.05, 0.075], "'x': '5%' was read as 0.05"),
        (["$5", "$1,200.50"], [5.0, 1200.5], "'x': '$5' was read as 5.0"),
        (["5 EUR", "7 EUR"], [5, 7], "'x': '5 EUR' was read as 5"),
        (["(500)", "20"], [-500, 20], "'x': '(500)' was read as -500"),
        (["\u22125", "2"], [-5, 2], "'x': '\u22125' was read as -5"),
        (["1", "N/A", "?", "-", "n/a", "2"], [1, None, None, None, None, 2], None),
        (["1", "unknown", "2"], [1, None, 2], "'x': 'unknown' read as missing"),
        (["a", "?", "b"], ["a", None, "b"], None),
        (["unknown", "known"], ["unknown", "known"], None),
        (["007", "123"], ["007", "123"], "'x': numbers with leading zeros were read as texts"),
        (["TRUE", "false"], [True, False], None),
        (["yes", "no"], ["yes", "no"], None),
        (["yes", "No", "Y"], ["yes", "no", "yes"], "'x': 'No', 'Y', 'yes' were read as 'yes' and 'no'"),
        (
            ["250", "251", "V27"],
            ["250", "251", "V27"],
            "'x': numbers in 2 rows and others such as 'V27' in 1 were read as texts",
        ),
    ],
)
def test_cells_are_read_as_what_they_mean(read, texts, values, note):
    assert read(column(*texts)) == ({"x": values}, [note] if note else [])


FEBRUARY = datetime(2013, 2, 1)  # noqa: DTZ001 - files tell no zone
JANUARY = datetime(2013, 1, 31)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("texts", "styles"),
    [
        (["2013-02-01 00:00", "2013-01-31 00:00:00"], None),
        (["2013/02/01", "2013/1/31"], None),
        (["01/02/2013", "31/01/2013"], "day first, such as '01/02/2013'"),
        (["02/01/2013", "01/31/2013"], "month first, such as '02/01/2013'"),
        (["01.02.2013", "31.1.2013"], "day first, such as '01.02.2013'"),
        (["01-02-13 00:00", "31-01-13 00:00"], "day first, such as '01-02-13 00:00'"),
        (["1 Feb 2013", "January 31, 2013"], "month by name, such as '1 Feb 2013'"),
        (["01/02/2013 12:00 am", "31/01/2013 0:00"], "day first, such as '01/02/2013 12:00 am'"),
        (["2013-02-01", "31/01/2013"], "year first, such as '2013-02-01' and day first, such as '31/01/2013'"),
    ],
)
def test_dates_are_read_in_the_order_that_the_column_proves(read, texts, styles):
    assert read(column(*texts)) == ({"x": [FEBRUARY, JANUARY]}, [f"'x': dates were read {styles}"] if styles else [])


def test_times_of_several_zones_are_one_clock(read):
    columns, _ = read(column("2013-02-01T12:00:00Z", "2013-02-01T14:00:00+02:00"))
    assert columns == {"x": [datetime(2013, 2, 1, 12, tzinfo=UTC)] * 2}


ONE_WAY = "The column 'x' of 'x.csv' must hold dates that can be read in one way only. Got "
ISO = "Write every date as in 2013-02-01 (ISO 8601)."


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["01/02/2013", "03/04/2013"], f"{ONE_WAY}'01/02/2013', which may be 1 February 2013 or 2 January 2013. {ISO}"),
        (
            ["01/02/2013", "2013-02-01"],
            f"{ONE_WAY}'01/02/2013', which may be 1 February 2013 or 2 January 2013, beside '2013-02-01'. {ISO}",
        ),
        (
            ["31/01/2013", "01/31/2013"],
            (
                "The column 'x' of 'x.csv' must hold dates of one format. Got '31/01/2013' with the day first and "
                f"'01/31/2013' with the month. {ISO}"
            ),
        ),
        (
            ["31/02/2013", "01/03/2013"],
            (
                "The column 'x' of 'x.csv' must hold dates of one format. Got '31/02/2013', which is no date of the "
                f"calendar. {ISO}"
            ),
        ),
        (
            ["2013-02-01T12:00:00Z", "2013-02-01 14:00"],
            (
                "The column 'x' of 'x.csv' must hold times that all name their zone, or none. Got '2013-02-01T12:00:00Z' "
                f"with a time zone and '2013-02-01 14:00' without. {ISO}"
            ),
        ),
        (
            ["1,5", "2.5"],
            (
                "The column 'x' of 'x.csv' must hold numbers of one notation. Got '1,5' with a decimal comma and '2.5' "
                "with a decimal point. Write numbers with a decimal point and without thousands separators, as in 1234.5."
            ),
        ),
        (
            ["5%", "0.5"],
            (
                "The column 'x' of 'x.csv' must hold numbers of one unit. Got '5%' and '0.5'. Write all of them in one "
                "unit."
            ),
        ),
        (
            ["$5", "€5"],
            (
                "The column 'x' of 'x.csv' must hold numbers of one currency. Got '$5' and '€5'. Convert them to one "
                "currency."
            ),
        ),
    ],
)
def test_what_can_be_read_in_several_ways_is_refused_with_examples(read, texts, message):
    with pytest.raises(UnclearColumnError) as caught:
        read(column(*texts))
    assert str(caught.value) == message


def test_a_comma_between_three_digits_is_refused_where_commas_do_not_part_columns(read):
    with pytest.raises(UnclearColumnError) as caught:
        read("x;y\n1,500;a\n2,250;b\n")
    assert str(caught.value) == (
        "The column 'x' of 'x.csv' must hold numbers that can be read in one way only. Got '1,500', which may be 1500 "
        "or 1.500. Write numbers with a decimal point and without thousands separators, as in 1234.5."
    )


def test_a_decimal_comma_elsewhere_in_the_file_settles_it(read):
    columns, _ = read("x;y;z\n1,500;0,5;1.234\n2,250;0,75;2.500\n")
    assert columns == {"x": [1.5, 2.25], "y": [0.5, 0.75], "z": [1234, 2500]}


@pytest.mark.parametrize(
    ("many", "kind"), [(["5"] * 19, "numbers"), (["2013-02-01"] * 19, "dates")], ids=["numbers", "dates"]
)
def test_a_word_among_numbers_or_dates_is_refused_with_its_line(read, many, kind):
    with pytest.raises(MixedColumnError) as caught:
        read(column(*many, "abc"))
    assert str(caught.value) == (
        f"The column 'x' of 'x.csv' must hold values of one type. Got {kind} in 19 rows and something else in 1 "
        "('abc' in line 21). Correct those cells or leave them empty."
    )


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", EmptyDataError, "The data at 'x.csv' must have rows. Got none. Check how the file was written."),
        ("a,b\n", EmptyDataError, "The data at 'x.csv' must have rows. Got none. Check how the file was written."),
        (
            "a,a,b\n1,2,3\n",
            DuplicateColumnsError,
            "The columns at 'x.csv' must have different names. More than once: 'a'. Rename or remove them.",
        ),
        (
            "a,b\n1,2\n1,2,3\n",
            UnreadableDataError,
            (
                "The file 'x.csv' must be a CSV, Parquet or JSON lines table. It can't be read: CSV parse error: Expected 2 columns, "
                "got 3: 1,2,3. Repair it."
            ),
        ),
        (
            b"PK\x03\x04abc",
            UnreadableDataError,
            (
                "The file 'x.csv' must be a CSV, Parquet or JSON lines table. It can't be read: it is a ZIP archive or an Excel "
                "workbook. Save the table as CSV."
            ),
        ),
        (
            b"a\x00\x01\x02b" * 10 + b"abcdefgh" * 20,
            UnreadableDataError,
            (
                "The file 'x.csv' must be a CSV, Parquet or JSON lines table. It can't be read: it holds binary data. Save the table "
                "as CSV or Parquet."
            ),
        ),
        (
            b"PAR1 and no more",
            UnreadableDataError,
            (
                "The file 'x.csv' must be a CSV, Parquet or JSON lines table. It can't be read: Parquet magic bytes not found in "
                "footer. Either the file is corrupted or this is not a parquet file. Repair it."
            ),
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(read, content, error, message):
    with pytest.raises(error) as caught:
        read(content)
    assert str(caught.value) == message


def test_a_sample_is_read_as_the_whole_file_is(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a;b\n" + '1,5;"x\ny"\n' * 200_000)
    sample, is_whole = read_csv_sample(path, 1000)
    whole = read_files([path], "x.csv")
    assert not is_whole
    assert 1000 <= sample.num_rows < whole.num_rows == 200_000
    assert sample.schema == whole.schema == pa.schema([("a", pa.float64()), ("b", pa.string())])
    assert reading_notes(sample) == reading_notes(whole)


def test_what_one_file_leaves_open_another_may_prove(tmp_path):
    for name, day in (("a", "01/02/2013"), ("b", "31/01/2013")):
        (tmp_path / f"{name}.csv").write_text(column(day))
    table = read_files(sorted(tmp_path.glob("*.csv")), "folder")
    assert table.column("x").to_pylist() == [FEBRUARY, JANUARY]


def test_a_sample_that_leaves_the_order_of_dates_open_is_settled_by_the_other_rows(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("x,y\n" + "01/02/2013,some text\n" * 100_000 + "31/01/2013,some text\n")
    sample, is_whole = read_csv_sample(path, 1000)
    assert (sample.num_rows, is_whole) == (100_001, True)
    assert sample.column("x")[0].as_py() == FEBRUARY
