"""How verdicts look and read on every page: a colour, a title and what they mean, in plain words."""

from driftloop.reports.charts import Tone
from driftloop.spec import Harm, VerdictKind

TONES: dict[VerdictKind, Tone] = {
    VerdictKind.STABLE: "good",
    VerdictKind.NOT_ENOUGH_DATA: "none",
    VerdictKind.COVARIATE_DRIFT: "warn",
    VerdictKind.PRIOR_SHIFT: "warn",
    VerdictKind.PERFORMANCE_DROP: "bad",
    VerdictKind.CONCEPT_DRIFT: "bad",
    VerdictKind.DATA_FAULT: "fault",
    VerdictKind.UNKNOWN: "warn",
}
SIGNS = {
    VerdictKind.STABLE: "",
    VerdictKind.NOT_ENOUGH_DATA: "?",
    VerdictKind.COVARIATE_DRIFT: "I",
    VerdictKind.PRIOR_SHIFT: "L",
    VerdictKind.PERFORMANCE_DROP: "P",
    VerdictKind.CONCEPT_DRIFT: "C",
    VerdictKind.DATA_FAULT: "F",
    VerdictKind.UNKNOWN: "U",
}
"""One letter that tells verdicts apart without colours."""
TITLES = {
    VerdictKind.STABLE: "Back to normal",
    VerdictKind.NOT_ENOUGH_DATA: "Not enough data for a verdict",
    VerdictKind.COVARIATE_DRIFT: "The inputs moved",
    VerdictKind.PRIOR_SHIFT: "Outcomes are more or less frequent than they were",
    VerdictKind.PERFORMANCE_DROP: "The model got worse while the inputs moved",
    VerdictKind.CONCEPT_DRIFT: "The model got worse though no input moved",
    VerdictKind.DATA_FAULT: "The feed is broken",
    VerdictKind.UNKNOWN: "Something moved, and it is not clear what",
}
MEANINGS = {
    VerdictKind.STABLE: "Nothing says that the model is asked about other cases than it knows, or does worse.",
    VerdictKind.NOT_ENOUGH_DATA: "Nothing follows from this window.",
    VerdictKind.COVARIATE_DRIFT: (
        "The model is asked about other cases than it was trained on. Whether it suffers shows when the labels arrive."
    ),
    VerdictKind.PRIOR_SHIFT: (
        "Probabilities may be off, though what the inputs mean has not changed. A model trained on newer rows knows "
        "the new frequencies."
    ),
    VerdictKind.PERFORMANCE_DROP: (
        "The answers are worse than on the model's own test rows, and the cases are others than it was trained on."
    ),
    VerdictKind.CONCEPT_DRIFT: (
        "The same inputs lead to other outcomes than they did. Only a model trained on newer rows can know that."
    ),
    VerdictKind.DATA_FAULT: (
        "Values are missing, of another type or unit, mixed up, or never seen before, in a way that the world does not "
        "change. These rows train nothing; a person must look at the feed."
    ),
    VerdictKind.UNKNOWN: "The evidence fits none of the known kinds of change. A person should look.",
}
_BY_HARM: dict[tuple[VerdictKind, Harm | None], tuple[Tone, str, str]] = {
    (VerdictKind.COVARIATE_DRIFT, Harm.HARMFUL): (
        "bad",
        "The inputs moved, and the answers suffer",
        (
            "The model is asked about other cases than it was trained on, and its own answers tell that it does worse "
            "on them. A model trained on newer rows should do better."
        ),
    ),
    (VerdictKind.COVARIATE_DRIFT, Harm.HARMLESS): (
        "good",
        "The inputs moved, and the answers don't suffer",
        (
            "The model is asked about other cases than it was trained on, and its own answers tell that it does as "
            "well on them. Nothing needs to be done now; labels will confirm it."
        ),
    ),
    (VerdictKind.STABLE, Harm.HARMLESS): (
        "good",
        "The inputs moved, and labels say that the answers don't suffer",
        "The model is asked about other cases than it was trained on, and answers them as well as those it knows.",
    ),
}
"""Verdicts that read differently by the harm they do."""


def tone_of(verdict: VerdictKind, harm: Harm | None = None) -> Tone:
    """Return the colour of a verdict."""
    return _BY_HARM[verdict, harm][0] if (verdict, harm) in _BY_HARM else TONES[verdict]


def title_of(verdict: VerdictKind, harm: Harm | None = None) -> str:
    """Return what a verdict says, as a heading."""
    return _BY_HARM[verdict, harm][1] if (verdict, harm) in _BY_HARM else TITLES[verdict]


def meaning_of(verdict: VerdictKind, harm: Harm | None = None) -> str:
    """Return what a verdict means and what follows, in one or two plain sentences."""
    return _BY_HARM[verdict, harm][2] if (verdict, harm) in _BY_HARM else MEANINGS[verdict]
