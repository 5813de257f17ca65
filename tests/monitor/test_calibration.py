"""Is stable traffic called stable as often as promised, and drift seen? Seeded; every test states its error rate."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.signal import lfilter

from driftloop.monitor.baseline import describe_columns
from driftloop.monitor.calibration import cut_blocks
from driftloop.monitor.columns import Column, ColumnKind
from driftloop.monitor.detector import Detector, _exceed_together

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
REFERENCE, WINDOWS, ROWS, COLUMNS = 6000, 60, 100, 6


def independent(random, rows):
    return random.standard_normal((rows, COLUMNS))


def heavy(random, rows):
    return random.standard_t(1.5, (rows, COLUMNS))


def autocorrelated(random, rows):
    return lfilter([1.0], [1.0, -0.9], random.standard_normal((rows + 200, COLUMNS)), axis=0)[200:]


def seasonal(random, rows):
    return random.standard_normal((rows, COLUMNS)) + np.sin(np.arange(rows) * 2 * np.pi / 24 / ROWS)[:, np.newaxis]


def discrete(random, rows):
    return random.poisson(0.3, (rows, COLUMNS)).astype(float)


def constant(random, rows):
    return np.full((rows, COLUMNS), 3.0)


def columns(values):
    return {f"x{place}": Column(ColumnKind.NUMERIC, column) for place, column in enumerate(values.T)}


def detector_of(values, *, window=HOUR):
    seconds = START.timestamp() + np.arange(-len(values), 0) * 3600 / ROWS
    found = describe_columns(columns(values), seconds, window, related=True)
    return Detector(found.columns, found.pairs, found.joint)


def sums_of(detector, values):
    return [
        detector.scorer.sums(columns(values[n * ROWS : (n + 1) * ROWS]), START + n * HOUR, START + (n + 1) * HOUR)
        for n in range(len(values) // ROWS)
    ]


@pytest.mark.parametrize("traffic", [independent, heavy, autocorrelated, seasonal, discrete, constant])
def test_stable_traffic_alarms_no_more_often_than_allowed(traffic):
    """240 windows of 4 references at 1 in 40: 6 expected; more than 14 have a probability below 0.002."""
    alarms = 0
    for seed in range(4):
        values = traffic(np.random.default_rng(seed), REFERENCE + WINDOWS * ROWS)
        detector = detector_of(values[:REFERENCE])
        sums = sums_of(detector, values[REFERENCE:])
        alarms += sum(detector.find(sums[: n + 1], 1 / 40).alarms for n in range(WINDOWS))
    assert alarms <= 14


@pytest.fixture(scope="module")
def stable():
    values = independent(np.random.default_rng(1), REFERENCE + WINDOWS * ROWS)
    return detector_of(values[:REFERENCE]), values[REFERENCE:]


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        (lambda x: x + np.array([0.8, 0, 0, 0, 0, 0]), {"x0"}),
        (lambda x: x * np.array([1, 2.0, 1, 1, 1, 1]), {"x1"}),
        (lambda x: np.where(np.arange(COLUMNS) == 2, np.exp(x) * 1.3 - 1.3, x), {"x2"}),
    ],
    ids=["location", "spread", "shape"],
)
def test_a_changed_column_is_named(stable, change, moved):
    """At 1 in 1,000 a stable column is named with a probability below 0.001 per window, in 10 windows of 0.01."""
    detector, values = stable
    for sums in sums_of(detector, change(values[: 10 * ROWS])):
        assert {unit.name for unit in detector.find([sums], 1e-3).units if unit.significant} == moved


def test_a_small_shift_of_all_columns_is_seen_together_before_any_by_itself(stable):
    detector, values = stable
    found = [detector.find([sums], 1e-3) for sums in sums_of(detector, values[: 20 * ROWS] + 0.25)]
    together = sum(f.joint.significant for f in found)
    assert together > sum(any(unit.significant for unit in f.units) for f in found)
    assert together > 10


def test_a_shift_beyond_a_reference_whose_windows_differ_much_is_seen():
    """A winter whose weeks differ, then summer: ranks end where the winter does, values go on."""
    random = np.random.default_rng(7)
    moods = np.repeat(lfilter([1.0], [1.0, -0.6], random.standard_normal(REFERENCE // ROWS + 5)), ROWS)
    values = 0.5 * random.standard_normal((len(moods), COLUMNS)) + moods[:, np.newaxis]
    detector = detector_of(values[:REFERENCE])
    (found,) = [detector.find([sums], 1e-3) for sums in sums_of(detector, values[REFERENCE : REFERENCE + ROWS] + 12)]
    assert all(unit.significant for unit in found.units if "~" not in unit.name)
    assert not detector.find(sums_of(detector, values[REFERENCE:])[:1], 1e-3).alarms


def test_four_windows_together_see_what_one_does_not(stable):
    detector, values = stable
    sums = sums_of(detector, values + np.array([0.35, 0, 0, 0, 0, 0]))
    alone = [detector.find([one], 1e-3).alarms for one in sums[3:]]
    together = [detector.find(sums[n - 3 : n + 1], 1e-3).alarms for n in range(3, len(sums))]
    assert np.mean(together) > np.mean(alone) + 0.3


def test_a_second_window_shows_what_chance_hid_in_the_first(stable):
    detector, values = stable
    sums = sums_of(detector, values + np.array([0.45, 0, 0, 0, 0, 0]))
    alone = [detector.find([one], 1e-3).alarms for one in sums[1:]]
    together = [detector.find(sums[n - 1 : n + 1], 1e-3).alarms for n in range(1, len(sums))]
    assert np.mean(together) > np.mean(alone) + 0.15


def test_what_location_and_value_both_say_is_paid_once():
    """Chance of both beyond 4.5 where one is: .612 at a correlation of .977, by integration; wild values say more."""
    from scipy.stats import multivariate_normal, norm

    both = multivariate_normal([0, 0], [[1, 0.977], [0.977, 1]], abseps=1e-14).cdf([-4.5, -4.5]) / norm.sf(4.5)
    assert _exceed_together(0.977) == pytest.approx(both, abs=0.02)
    assert _exceed_together(0.0) < 1e-5
    normal, wild = (detector_of(t(np.random.default_rng(1), REFERENCE)).weights[:4] for t in (independent, heavy))
    assert 0.55 < normal[0] == normal[3] < 0.65
    assert 0.44 <= wild[0] < 0.55
    assert normal[1:3].tolist() == wild[1:3].tolist() == [0.07, 0.05]
    assert detector_of(constant(np.random.default_rng(1), REFERENCE)).weights[0] == pytest.approx(0.44, abs=1e-4)


def test_windows_before_a_gap_do_not_count(stable):
    detector, values = stable
    sums = sums_of(detector, values[: 5 * ROWS])
    with_gap, alone = detector.find([*sums[:3], sums[4]], 0.01), detector.find([sums[4]], 0.01)
    assert with_gap.units == alone.units
    assert with_gap.joint == alone.joint


def test_a_broken_relation_is_seen_though_no_column_moved():
    """Two columns that go together are torn apart: every window shows it, at 1 in 1,000."""
    random = np.random.default_rng(2)
    values = independent(random, REFERENCE + 10 * ROWS)
    values[:, 1] = values[:, 0] + values[:, 1]
    detector = detector_of(values[:REFERENCE])
    torn = values[REFERENCE:].copy()
    torn[:, 1] = random.permuted(torn[:, 1])
    for sums in sums_of(detector, torn):
        assert [unit.name for unit in detector.find([sums], 1e-3).units if unit.significant] == ["x0 ~ x1"]


def test_the_season_is_learned_and_what_does_not_fit_it_is_seen():
    """A shift that the time of day would explain elsewhere: noon's values at midnight."""
    values = seasonal(np.random.default_rng(3), REFERENCE + WINDOWS * ROWS)
    detector = detector_of(values[:REFERENCE])
    assert all(86400.0 in stream.periods for stream in detector.calibration.streams[:3])
    delayed = sums_of(detector, np.roll(values[REFERENCE:], 12 * ROWS, axis=0)[: 36 * ROWS])[12:]
    assert np.mean([detector.find([sums], 1e-3).alarms for sums in delayed]) > 0.7


def test_at_the_peak_of_a_season_ranks_scatter_less_and_to_one_side():
    """Peak, trough and slope of a daily wave against 20,000 rows of the same hour: variance and skewness of a rank."""
    detector = detector_of(seasonal(np.random.default_rng(3), REFERENCE))
    scores = detector.scorer.columns["x0"]
    for hour in (0, 6, 18):
        at = START.timestamp() + hour * 3600
        rows = np.random.default_rng(4).standard_normal(20_000) + np.sin(2 * np.pi * (hour + 12) / 24)
        away = scores.first(Column(ColumnKind.NUMERIC, rows))
        _, (variance, *_), (cube, *_) = detector.calibration.expect(at - 60, at + 60)
        assert variance == pytest.approx(away.var(), rel=0.15)
        assert cube / variance**1.5 == pytest.approx(((away - away.mean()) ** 3).mean() / away.var() ** 1.5, abs=0.3)


def test_independent_rows_know_their_variance_better_than_their_blocks_would():
    streams = detector_of(independent(np.random.default_rng(4), REFERENCE)).calibration.streams
    assert min(stream.degrees for stream in streams) > 5 * 55
    assert max(stream.design_effect for stream in streams) < 1.2


def test_an_autocorrelated_column_keeps_its_own_design_effect_among_independent_ones():
    random = np.random.default_rng(5)
    values = independent(random, REFERENCE)
    values[:, 3] = autocorrelated(random, REFERENCE)[:, 3]
    effects = [column.streams[0].design_effect for column in detector_of(values).columns]
    assert effects[3] > 10
    assert max(effects[:3] + effects[4:]) < 1.6


def test_a_steady_column_keeps_its_own_design_effect_among_moody_ones():
    random = np.random.default_rng(8)
    values = autocorrelated(random, REFERENCE)
    values[:, 3] = independent(random, REFERENCE)[:, 3]
    effects = [column.streams[0].design_effect for column in detector_of(values).columns]
    assert effects[3] < 1.6
    assert min(effects[:3] + effects[4:]) > 10


def test_a_column_that_the_season_explains_wholly_is_judged():
    values = independent(np.random.default_rng(9), REFERENCE + ROWS)
    values[:, 0] = np.cos(np.arange(len(values)) // ROWS % 24 * 2 * np.pi / 24)
    detector = detector_of(values[:REFERENCE])
    (sums,) = sums_of(detector, values[REFERENCE:])
    assert np.isfinite(detector.find([sums], 1e-3).assessment.statistics).all()
    assert not detector.find([sums], 1e-3).alarms


@pytest.mark.parametrize(("days", "window", "block"), [(59, 7, 1), (400, 7, 7), (180, 30, 3), (16, 1, 1 / 3)])
def test_blocks_are_whole_days_where_windows_are_and_days_suffice(days, window, block):
    blocks = cut_blocks(np.linspace(0, days * 86400.0, 5000), timedelta(days=window))
    assert blocks.seconds == pytest.approx(block * 86400)


@pytest.mark.parametrize("rows", [1, 2, 9, 15, 60])
def test_a_tiny_reference_is_no_error_and_no_source_of_certainty(rows):
    """A window of the same traffic: no alarm, at 1 in 1,000."""
    values = independent(np.random.default_rng(6), rows + ROWS)
    detector = detector_of(values[:rows])
    (sums,) = sums_of(detector, values[rows:])
    assert not detector.find([sums], 1e-3).alarms
