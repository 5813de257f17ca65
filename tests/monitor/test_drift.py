"""What of a column moved, and how far."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from driftloop.monitor.drift import evenly_spaced, numeric_shift

NUMBERS = st.lists(st.integers(-5, 5), min_size=2, max_size=60)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(1, 80))
def test_evenly_spaced_values_keep_the_distribution(values, count):
    ordered = np.sort(np.array(values, float))
    few = evenly_spaced(ordered, count)
    assert len(few) == count
    for value in set(values):
        assert abs((few <= value).mean() - (ordered <= value).mean()) <= 0.5 / count + 1e-9


@given(NUMBERS, NUMBERS)
def test_the_share_that_moved_is_the_largest_distance_of_the_distributions(reference, window):
    reference, window = (np.sort(np.array(values, float)) for values in (reference, window))
    distance, moved = numeric_shift(reference, window)
    assert abs(distance - ks_2samp(reference, window, method="asymp").statistic) < 1e-12
    assert "of the values lie" in moved
