"""Stage `package`: lay out everything a Bento holds, and name it by its content.

Between `assess` and `verify`. Equal inputs give equal content: no times, no run ids. BentoML itself is the business
of `adapters.bento`. It must not import scikit-learn or pandas.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from driftloop.errors import DriftloopError
from driftloop.spec import DataSpec

MODEL_FOLDER = "model"
MODEL_FILE = "model.skops"
SCHEMA_FILE = "schema.json"
BASELINE_FILE = "baseline.json"
SAMPLE_FILE = "sample.json"
TRAINING_FILE = "training.json"
EXPLANATION_FILE = "explanation.json"
ASSESSMENT_FILE = "assessment.json"
CARD_FILE = "card.md"
MANIFEST_FILE = "manifest.json"
VERSION_LENGTH = 12
"""Characters of the Bento's digest that make the model version."""

SERVICE = "service:ModelServer"
"""What BentoML starts: a module of the content, and so covered by the manifest."""
_FORMAT_VERSION = 1
_CACHE = "__pycache__"
_SERVICE = '''"""Entry of `bentoml serve`: the model in this folder, behind driftloop's own sources in this folder."""

from driftloop.serving.service import ModelServer

__all__ = ["ModelServer"]
'''


class ContentDiffersError(DriftloopError):
    """The content of a Bento isn't what its manifest says."""

    def __init__(self, folder: Path, name: str, fault: str) -> None:
        super().__init__(
            f"The Bento content in '{folder}' must match its manifest. The file '{name}' {fault}. "
            "Fetch the Bento again, or package the model again; never edit a Bento."
        )


@dataclass(frozen=True)
class BentoContent:
    """A folder ready to become a Bento, and its name."""

    path: Path
    digest: str

    @property
    def version(self) -> str:
        """The model version."""
        return self.digest[:VERSION_LENGTH]


@dataclass(frozen=True)
class ModelFiles:
    """What the earlier stages made; each file is copied as it is."""

    model: Path
    """The fitted chain, by `stages.modelfile`."""
    schema: Path
    """`spec.DataSchema`."""
    baseline: Path
    """`monitor.Baseline`."""
    sample: Path
    """Rows and the answers expected, by `stages.predict.build_sample`."""
    training: Path
    """What is known of the training: through when, metric and score."""
    explanation: Path
    """Importance of every input column, `stages.records.Explanation`."""
    assessment: Path
    """Metrics by group of people, `stages.records.Assessment`."""


def assemble(
    folder: Path,
    files: ModelFiles,
    *,
    loop: str,
    card: str,
    requirements: Sequence[str],
    runtime_image: str,
    origin: Mapping[str, Any] | None = None,
) -> BentoContent:
    """Lay out the content of a Bento in `folder`, which must not exist yet.

    Args:
        folder: becomes the Bento's `src/`.
        files: the model and what goes with it.
        loop: name of the loop, and of the Bento.
        card: the model card, in Markdown.
        requirements: Python packages of the server, pinned.
        runtime_image: container image the model shall be served on.
        origin: of the data, by `data_origin`; absent where nothing is known.
    """
    import driftloop

    sources = Path(driftloop.__file__).parent
    shutil.copytree(sources, folder / "driftloop", ignore=shutil.ignore_patterns(_CACHE, "*.pyc"))
    model = folder / MODEL_FOLDER
    model.mkdir()
    for source, name in (
        (files.model, MODEL_FILE),
        (files.schema, SCHEMA_FILE),
        (files.baseline, BASELINE_FILE),
        (files.sample, SAMPLE_FILE),
        (files.training, TRAINING_FILE),
        (files.explanation, EXPLANATION_FILE),
        (files.assessment, ASSESSMENT_FILE),
    ):
        shutil.copyfile(source, model / name)
    (model / CARD_FILE).write_text(card, encoding="utf-8")
    (folder / "service.py").write_text(_SERVICE, encoding="utf-8")
    (folder / "bentofile.yaml").write_text(_bentofile(loop, card, requirements), encoding="utf-8")
    manifest = {"formatVersion": _FORMAT_VERSION, "runtimeImage": runtime_image, "files": _digests(folder)}
    manifest |= {"data": dict(origin)} if origin else {}
    (model / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")
    return BentoContent(folder, content_digest(folder))


def data_origin(data: DataSpec, digest: str) -> dict[str, Any]:
    """Return what the manifest tells of the data: their content's digest, and where they come from.

    No addresses: equal content at another place makes the same Bento.
    """
    origin: dict[str, Any] = {"digest": digest}
    if data.simulation:
        origin["simulated"] = True
    told = {name: text for name, text in data.provenance.to_dict().items() if text}
    return origin | ({"provenance": told} if told else {})


def content_digest(folder: Path) -> str:
    """Return the digest of a Bento's content as its manifest gives it: SHA-256 of the canonical JSON, in hex."""
    canonical = json.dumps(_read_manifest(folder), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def verify_digests(folder: Path, expected_digest: str | None = None) -> str:
    """Check every file of a Bento's content against its manifest and return the content's digest.

    Python's own `__pycache__` folders are not content; they are never copied along with a Bento.

    Args:
        folder: the Bento's `src/`.
        expected_digest: what the manifest itself must add up to, where it is known.

    Raises:
        ContentDiffersError: a file differs, is missing, is extra or is no regular file; names it.
    """
    stated = _read_manifest(folder)["files"]
    digest = content_digest(folder)
    if expected_digest is not None and digest != expected_digest:
        manifest = f"{MODEL_FOLDER}/{MANIFEST_FILE}"
        raise ContentDiffersError(folder, manifest, f"has the digest {digest}, not {expected_digest}")
    found = _digests(folder)
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            raise ContentDiffersError(folder, name, "is missing")
        if name not in stated:
            raise ContentDiffersError(folder, name, "is not in the manifest")
        if stated[name] != found[name]:
            raise ContentDiffersError(folder, name, "has another content")
    return digest


def verify_file(folder: Path, expected_digest: str, name: str) -> None:
    """Check one file of a Bento's content against the manifest beside it, and the manifest against the digest.

    Args:
        folder: holds the manifest and the file at their places below the Bento's `src/`, and perhaps nothing else.
        expected_digest: what the manifest must add up to.
        name: the file's path in the folder; the manifest's own is fine.

    Raises:
        ContentDiffersError: one of the two differs.
    """
    manifest = f"{MODEL_FOLDER}/{MANIFEST_FILE}"
    digest = content_digest(folder)
    if digest != expected_digest:
        raise ContentDiffersError(folder, manifest, f"has the digest {digest}, not {expected_digest}")
    if name != manifest and _read_manifest(folder)["files"].get(name) != _sha256(folder / name):
        raise ContentDiffersError(folder, name, "has another content")


def _bentofile(loop: str, card: str, requirements: Sequence[str]) -> str:
    build = {
        "service": SERVICE,
        "name": loop,
        "description": card,  # becomes the Bento's README
        "include": ["*"],
        "python": {"packages": list(requirements), "lock_packages": False},
    }
    return yaml.safe_dump(build, sort_keys=False)


def _read_manifest(folder: Path) -> dict[str, Any]:
    name = f"{MODEL_FOLDER}/{MANIFEST_FILE}"
    try:
        manifest = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ContentDiffersError(folder, name, "is missing") from error
    except ValueError as error:
        raise ContentDiffersError(folder, name, "is no JSON") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ContentDiffersError(folder, name, "lists no files")
    return manifest


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file but the manifest, by its path in the folder."""
    manifest = f"{MODEL_FOLDER}/{MANIFEST_FILE}"
    return {name: _sha256(folder / name) for name in _file_names(folder) if name != manifest}


def _file_names(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {_CACHE})
        for name in sorted(files) + [link for link in folders if (Path(root) / link).is_symlink()]:
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                raise ContentDiffersError(folder, relative, "is no regular file")
            yield relative


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
