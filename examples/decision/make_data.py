"""Write `decisions.parquet`: forms sent to desks by a clerk who guesses, and whether the desk was the right one.

The forms are scikit-learn's handwritten digits. The clerk knows a rough rule, learned from 150 forms, and follows it in
half of the cases; otherwise he draws a desk at random. Only what became of his own choice is written down.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

GUESSED = 0.5
"""Share of forms for which the clerk draws a desk."""
KNOWN_FORMS = 150
START = datetime(2025, 3, 3, 8, tzinfo=UTC)


def decisions(seed: int = 0) -> pd.DataFrame:
    """Return the logged decisions: the form, the desk, how probable that desk was, and the reward."""
    forms, right_desks = load_digits(return_X_y=True, as_frame=True)
    order = np.random.default_rng(seed).permutation(len(forms))
    forms, right_desks = forms.iloc[order].reset_index(drop=True), right_desks.iloc[order].to_numpy()
    random = np.random.default_rng(seed + 1)
    rule = LogisticRegression(max_iter=1000).fit(forms[:KNOWN_FORMS], right_desks[:KNOWN_FORMS])
    probabilities = np.full((len(forms), 10), GUESSED / 10)
    probabilities[np.arange(len(forms)), rule.predict(forms)] += 1 - GUESSED
    desks = (random.random((len(forms), 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return forms.assign(
        at=[START + timedelta(minutes=10 * row) for row in range(len(forms))],
        desk=[f"desk {desk}" for desk in desks],
        probability=probabilities[np.arange(len(forms)), desks],
        accepted=(desks == right_desks).astype(int),
    )[KNOWN_FORMS:]


if __name__ == "__main__":
    decisions().to_parquet(Path(__file__).with_name("decisions.parquet"))
