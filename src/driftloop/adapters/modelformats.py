"""Reads models made elsewhere: MLflow's scikit-learn models, driftloop's own Bentos, Bentos of one scikit-learn model.

Recognises formats by their files and needs neither MLflow nor BentoML for it. A file that could run code is opened
only where the ModelLoop allows it.
"""

import json
import re
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from driftloop.adapters.modelsource import bento_home
from driftloop.errors import InvalidInputError
from driftloop.spec import FeatureType
from driftloop.stages.adopt import ForeignModel
from driftloop.stages.evaluate import load_champion
from driftloop.stages.modelfile import TRUSTED_TYPES
from driftloop.stages.package import MANIFEST_FILE, MODEL_FOLDER, verify_digests

_SUPPORTED = (
    "Supported are MLflow scikit-learn models, Bentos made by driftloop, and Bentos that hold one model saved by "
    "bentoml.sklearn"
)
_TYPES = {
    "string": FeatureType.CATEGORICAL,
    "boolean": FeatureType.BOOLEAN,
    "datetime": FeatureType.DATE,
    "integer": FeatureType.NUMERIC,
    "long": FeatureType.NUMERIC,
    "float": FeatureType.NUMERIC,
    "double": FeatureType.NUMERIC,
}
"""MLflow's types of columns."""
_BENTO_MODULES = ("bentoml.sklearn", "bentoml._internal.frameworks.sklearn")


class UnsupportedModelError(InvalidInputError):
    """A model of a kind that can't be adopted."""

    def __init__(self, uri: str, got: str, remedy: str) -> None:
        super().__init__(
            f"The model at '{uri}' must be of a kind that can be adopted. Got {got}. {_SUPPORTED}. {remedy}"
        )


class PickleRefusedError(InvalidInputError):
    """A pickle that nobody allowed."""

    def __init__(self, uri: str, file: str) -> None:
        super().__init__(
            f"The model at '{uri}' must be saved as skops to be read without running its code. Got the pickle "
            f"'{file}'. Save it again with mlflow.sklearn.save_model(..., serialization_format='skops'), or, if you "
            "would run this file as a program, allow it with 'model: {serialization: Pickle}'."
        )


class UntrustedPartsError(InvalidInputError):
    """A model with parts that are neither scikit-learn's nor ours."""

    def __init__(self, uri: str, types: list[str]) -> None:
        super().__init__(
            f"The model at '{uri}' must be made of scikit-learn's own estimators, because it is stored and served "
            f"without pickle. Got {', '.join(types)}. Replace these parts by scikit-learn's; such a model can't be "
            "adopted, but 'driftloop up' without 'model' trains one from the same data."
        )


class UnreadableModelError(InvalidInputError):
    """A model file that can't be loaded here."""

    def __init__(self, uri: str, reason: str, saved_with: str) -> None:
        saved = (
            f" It was saved with scikit-learn {saved_with}; installed is {version('scikit-learn')}."
            if saved_with
            else ""
        )
        super().__init__(
            f"The model at '{uri}' must load. It does not: {reason}.{saved} Install what it was saved with, or save it "
            "again here."
        )


class PackageMissingError(InvalidInputError):
    """A model needs a package that isn't installed."""

    def __init__(self, uri: str, package: str, required: str) -> None:
        needed = f" It was saved with: {required}." if required else ""
        super().__init__(
            f"The model at '{uri}' needs the package '{package}', which is not installed.{needed} Install it, or save "
            "the model without it."
        )


def read_model(path: Path, uri: str, *, serialization: str) -> ForeignModel:
    """Read what `modelsource.fetch_model` brought.

    Args:
        path: local folder or file.
        uri: the address as the user wrote it, for messages.
        serialization: `Skops` or `Pickle`, see `spec.ModelSpec`.

    Raises:
        UnsupportedModelError, PickleRefusedError, UntrustedPartsError, UnreadableModelError, PackageMissingError: see
            there.
        ContentDiffersError: a Bento of driftloop's was changed.
    """
    if (path / "MLmodel").is_file():
        return _read_mlflow(path, uri, serialization)
    if (path / "bento.yaml").is_file():
        content = path / "src"
        if (content / MODEL_FOLDER / MANIFEST_FILE).is_file():
            return _read_own_bento(path, uri)
        return _read_bento(path, uri, serialization)
    found = "a file" if path.is_file() else f"a folder with {_listing(path)}"
    raise UnsupportedModelError(uri, found, "Give the folder that holds the file MLmodel or bento.yaml.")


def _read_mlflow(folder: Path, uri: str, serialization: str) -> ForeignModel:
    described = yaml.safe_load((folder / "MLmodel").read_text()) or {}
    flavors = described.get("flavors", {})
    flavor = flavors.get("sklearn")
    if not flavor:
        names = ", ".join(flavors) or "none"
        raise UnsupportedModelError(uri, f"an MLflow model of the flavors {names}", "Log it with mlflow.sklearn.")
    name = str(flavor.get("pickled_model", "model.pkl"))
    file = _inside(folder, name, uri)
    requirements = folder / "requirements.txt"
    loaded, notes = _load(
        file,
        uri,
        serialization,
        is_skops=flavor.get("serialization_format") == "skops",
        saved_with=str(flavor.get("sklearn_version", "")),
        required=", ".join(requirements.read_text().split()) if requirements.is_file() else "",
    )
    return ForeignModel(
        estimator=loaded, origin=f"the MLflow model '{uri}'", inputs=_signature(described), notes=tuple(notes)
    )


def _signature(described: Mapping[str, Any]) -> dict[str, FeatureType | None]:
    """Return the columns of a signature; empty where it names none, as of a model of arrays."""
    text = (described.get("signature") or {}).get("inputs")
    columns = json.loads(text) if text else []
    if any("name" not in column for column in columns):
        return {}
    return {str(column["name"]): _TYPES.get(str(column.get("type"))) for column in columns}


def _read_own_bento(folder: Path, uri: str) -> ForeignModel:
    stated = str((yaml.safe_load((folder / "bento.yaml").read_text()) or {}).get("version", ""))
    digest = verify_digests(folder / "src")
    if not digest.startswith(stated):
        raise UnsupportedModelError(
            uri, f"a Bento of version {stated} with content of digest {digest}", "Fetch the Bento again."
        )
    champion = load_champion(folder / "src")
    return ForeignModel(
        estimator=champion.chain,
        origin=f"the driftloop Bento '{uri}' of digest {digest[:12]}",
        inputs={},
        schema=champion.schema,
    )


def _read_bento(folder: Path, uri: str, serialization: str) -> ForeignModel:
    described = yaml.safe_load((folder / "bento.yaml").read_text()) or {}
    listed = [*described.get("models", ()), *(m for s in described.get("services", ()) for m in s.get("models", ()))]
    tags = {str(model["tag"]): str(model.get("module", "")) for model in listed if "tag" in model}
    suitable = [tag for tag, module in tags.items() if module in _BENTO_MODULES]
    if len(tags) != 1 or not suitable:
        held = ", ".join(f"{tag} of {module or 'no framework'}" for tag, module in tags.items()) or "no model"
        raise UnsupportedModelError(
            uri,
            f"a Bento with a service of its own that holds {held}",
            "What a service does around a model can't be watched or retrained; save the model itself with "
            "mlflow.sklearn.save_model, and give that.",
        )
    name, _, tag_version = suitable[0].partition(":")
    places = [root / "models" / name / tag_version for root in (folder, bento_home())]
    place = next((place for place in places if place.is_dir()), None)
    if place is None:
        raise UnreadableModelError(uri, f"its model {suitable[0]} is neither in it nor in the BentoML store", "")
    context = (yaml.safe_load((place / "model.yaml").read_text()) or {}).get("context", {})
    frameworks = context.get("framework_versions", {})
    file = next((place / known for known in ("saved_model.pkl",) if (place / known).is_file()), None)
    if file is None:
        raise UnsupportedModelError(uri, f"the model {suitable[0]} with {_listing(place)}", "Save it again.")
    loaded, notes = _load(
        file, uri, serialization, is_skops=False, saved_with=str(frameworks.get("scikit-learn", "")), required=""
    )
    notes.insert(0, "The service of the Bento is left behind: requests are answered by driftloop's own")
    return ForeignModel(
        estimator=loaded, origin=f"the model {suitable[0]} of the Bento '{uri}'", inputs={}, notes=tuple(notes)
    )


def _load(
    file: Path, uri: str, serialization: str, *, is_skops: bool, saved_with: str, required: str
) -> tuple[Any, list[str]]:
    """Load an estimator; notes tell of another scikit-learn."""
    if not is_skops and serialization != "Pickle":
        raise PickleRefusedError(uri, file.name)
    notes = []
    if saved_with and saved_with != (installed := version("scikit-learn")):
        notes.append(f"It was saved with scikit-learn {saved_with} and runs with {installed}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the versions, which the note tells
        try:
            return (_load_skops(file, uri) if is_skops else _load_pickle(file, uri)), notes
        except ModuleNotFoundError as error:
            package = (error.name or str(error)).partition(".")[0]
            raise PackageMissingError(uri, package, required) from error
        except InvalidInputError:
            raise
        except Exception as error:  # a damaged or foreign file may raise anything
            raise UnreadableModelError(uri, f"{type(error).__name__}: {error}".rstrip("."), saved_with) from error


def _load_skops(file: Path, uri: str) -> Any:
    import skops.io

    data = file.read_bytes()
    unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    if unknown:
        raise UntrustedPartsError(uri, unknown)
    return skops.io.loads(data, trusted=TRUSTED_TYPES)


def _load_pickle(file: Path, uri: str) -> Any:
    """Run a pickle, and make sure that what came out can be stored without one."""
    import joblib
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    loaded = joblib.load(file)
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=skops.io.dumps(loaded))) - set(TRUSTED_TYPES))
    except UnsupportedTypeException as error:
        unknown = re.findall(r"type (\S+)", str(error)) or [str(error)]
    if unknown:
        raise UntrustedPartsError(uri, unknown)
    return loaded


def _inside(folder: Path, name: str, uri: str) -> Path:
    file = folder / name
    if PurePosixPath(name).is_absolute() or not file.resolve().is_relative_to(folder.resolve()):
        raise UnsupportedModelError(uri, f"an MLmodel that names the file '{name}'", "It must lie in the same folder.")
    if not file.is_file():
        raise UnreadableModelError(uri, f"its file '{name}' is missing", "")
    return file


def _listing(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing in it"
