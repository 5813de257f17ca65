"""What a proof of concept changes in a loop: a small budget where the file names none."""

from datetime import timedelta

from driftloop.spec import Maturity, ModelLoop

SMALL_TRIAL_COUNT = 6
SMALL_TIMEOUT = timedelta(minutes=2)


def with_small_budget(loop: ModelLoop) -> ModelLoop:
    """Return a proof of concept with few trials and little time; what its file sets is respected.

    It must see the loop as it was read from the file, which alone tells a value that was set from a default.
    """
    training = loop.spec.training
    if loop.spec.maturity is not Maturity.PROOF_OF_CONCEPT:
        return loop
    small = {"max_trial_count": SMALL_TRIAL_COUNT, "timeout": SMALL_TIMEOUT}
    unset = {name: value for name, value in small.items() if name not in training.model_fields_set}
    spec = loop.spec.model_copy(update={"training": training.model_copy(update=unset)})
    return loop.model_copy(update={"spec": spec})
