import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.reports.markup import figure, percent, plain


@given(st.text())
def test_any_text_can_be_written_and_holds_no_markup(text):
    written = plain(text)
    written.encode()
    assert not {"<", ">", '"', "'"} & set(written)
    assert "\x00" not in written


def test_a_text_from_a_broken_encoding_can_be_written():
    assert plain("\ud800a").encode().decode().endswith("a")


def test_a_long_text_is_cut_before_it_is_escaped():
    assert plain("<" * 100, most=10) == "&lt;" * 9 + "…"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-3.0, "-3"), (1e300, "1e+300"), (0.5, "0.5"), (12345.6, "12,346"), (float("inf"), "-")],
)
def test_numbers_read_as_people_write_them(value, text):
    assert figure(value) == text


@given(st.floats())
def test_every_number_and_share_has_a_text(value):
    assert figure(value)
    assert percent(value)


def test_what_is_rare_is_not_shown_as_nothing_or_all():
    assert (percent(1e-9), percent(1 - 1e-9), percent(0.0), percent(1.0)) == ("< 0.1 %", "> 99.9 %", "0 %", "100 %")
