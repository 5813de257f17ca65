"""The group `model` of the ModelLoop: a model that exists already. Field docstrings are the reference documentation."""

from typing import Annotated, Literal

from pydantic import Field

from driftloop.spec.boundary import Boundary


class ModelSpec(Boundary):
    """A model made elsewhere: served and watched before anything is retrained, and then the champion to beat.

    Read once, for the first model of the loop. Absent: the first model is trained from `data`.
    """

    uri: Annotated[str, Field(min_length=1)]
    """MLflow scikit-learn model (a folder with `MLmodel`, `models:/NAME/VERSION` or `runs:/RUN/PATH`) or Bento (its
    folder, an exported archive, or `NAME:VERSION` in the local BentoML store). A path is relative to this file."""
    serialization: Literal["Skops", "Pickle"] = "Skops"
    """What the model's file may be. Skops: a skops file, which runs no code when it is read. Pickle: also a pickle,
    cloudpickle or joblib file, which runs the code in it; allow it only for a file that you would run as a program."""
    input_columns: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Columns the model takes, in its order. Empty: as the model says itself; one that was fitted on an array says
    nothing."""
