"""Reads ModelLoop files: every error of every file at once, or the validated objects."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from driftloop.spec.documents import Document, path_of, read_documents
from driftloop.spec.messages import explain_errors
from driftloop.spec.modelloop import API_GROUP, KIND, ModelLoop
from driftloop.spec.problems import InvalidModelLoopError, SpecProblem
from driftloop.spec.reference import field_reference

_SUFFIXES = (".yaml", ".yml", ".json")
_LARGEST_FILE_BYTES = 1_048_576  # more than etcd holds


def load_modelloops(path: Path) -> list[ModelLoop]:
    """Read the ModelLoops of a file, or of all YAML and JSON files in a folder and the folders below it.

    Other kinds of Kubernetes objects are passed over; so are, in a folder, files that are no ModelLoop at all.

    Raises:
        InvalidModelLoopError: any file is invalid, or there is no ModelLoop; it carries every problem.
    """
    if not path.exists():
        raise InvalidModelLoopError([SpecProblem(str(path), "", "must exist", remedy="Check the path.")])
    is_folder = path.is_dir()
    loops: list[ModelLoop] = []
    problems: list[SpecProblem] = []
    first_places: dict[tuple[str, str], str] = {}
    for file in _loop_files(path) if is_folder else [path]:
        for document, read in _read_file(file, is_folder=is_folder):
            if isinstance(read, list):
                problems += read
                continue
            loops.append(read)
            name = (read.metadata.namespace, read.metadata.name)
            place = f"{file}:{document.line(())}"
            if first_places.setdefault(name, place) != place:
                problems.append(_duplicate_name(file, document, read, first_places[name]))
    if problems:
        raise InvalidModelLoopError(problems)
    if not loops:
        what = "must hold a ModelLoop in a .yaml, .yml or .json file" if is_folder else "must hold a ModelLoop"
        problem = SpecProblem(str(path), "", what, remedy="Write one with: driftloop init DATA --target COLUMN")
        raise InvalidModelLoopError([problem])
    return loops


def read_modelloop(path: Path) -> ModelLoop:
    """Read the one ModelLoop of a file or folder.

    Raises:
        InvalidModelLoopError: as `load_modelloops`, or there is more than one.
    """
    loops = load_modelloops(path)
    if len(loops) > 1:
        names = ", ".join(f"'{loop.metadata.name}'" for loop in loops)
        problem = SpecProblem(
            str(path), "", "must hold exactly one ModelLoop", names, "Give the file of the one meant."
        )
        raise InvalidModelLoopError([problem])
    return loops[0]


def parse_modelloop(document: Document, file: str) -> ModelLoop | list[SpecProblem]:
    """Validate one document: the object, or everything that is wrong with it."""
    problems = list(document.problems)
    if not isinstance(document.value, dict):
        return problems or [SpecProblem(file, "", "must hold a mapping with apiVersion, kind, metadata and spec")]
    try:
        # As JSON and strictly, because that is how the Kubernetes API reads it: no "yes" for true, no 3600 for 1h.
        text = json.dumps(_drop_unset(document.value, ""))
        loop = ModelLoop.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        told = {problem.path for problem in problems}
        for finding in explain_errors(error):
            path, line = path_of(finding.location), document.line(finding.location)
            if path not in told or not finding.value:  # one complaint about one value is enough
                problem = SpecProblem(file, path, finding.constraint, finding.value, finding.remedy, line=line)
                problems.append(problem)
        loop = None
    if problems or loop is None:
        return [replace(problem, loop=_name_in(document.value)) for problem in problems]
    return loop


def _loop_files(folder: Path) -> Iterator[Path]:
    """Find files, hidden ones aside, that speak of ModelLoops: a folder may hold charts, data and settings as well."""
    for file in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix in _SUFFIXES and not is_hidden and file.is_file():
            content = file.read_bytes()[:_LARGEST_FILE_BYTES].lower()
            if API_GROUP.encode() in content or KIND.lower().encode() in content:
                yield file


def _read_file(file: Path, *, is_folder: bool) -> Iterator[tuple[Document, ModelLoop | list[SpecProblem]]]:
    text = _read_text(file)
    if isinstance(text, SpecProblem):
        yield Document(None, {}, (text,)), [text]
        return
    for document in read_documents(text, str(file)):
        if document.problems or not _is_foreign(document.value, is_folder=is_folder):
            yield document, parse_modelloop(document, str(file))


def _read_text(file: Path) -> str | SpecProblem:
    try:
        if file.stat().st_size > _LARGEST_FILE_BYTES:
            return SpecProblem(str(file), "", "must be at most 1 MiB", remedy="Is it a ModelLoop at all?")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        return SpecProblem(str(file), "", "must be readable", str(error.strerror))
    except UnicodeDecodeError:
        return SpecProblem(str(file), "", "must be text in UTF-8", remedy="Is it a ModelLoop at all?")
    return text.replace("\t", " ") if file.suffix == ".json" else text  # JSON may be indented with tabs, YAML not


def _is_foreign(value: Any, *, is_folder: bool) -> bool:
    """Whether a document is none of ours: empty, another kind of object or, in a folder, no object at all."""
    if value is None:
        return True
    if not isinstance(value, dict) or not ("kind" in value or "apiVersion" in value):
        return is_folder
    kind, api_version = value.get("kind"), str(value.get("apiVersion", ""))
    if api_version.startswith(f"{API_GROUP}/"):
        return kind == "DriftReport"
    return isinstance(kind, str) and kind != KIND


def _drop_unset(value: Any, path: str) -> Any:
    """Leave out the fields that are null: unset, as in Kubernetes. Unknown ones stay, to be told."""
    if isinstance(value, list):
        return [_drop_unset(item, path) for item in value]
    if not isinstance(value, dict):
        return value
    paths = {name: f"{path}.{name}" if path else name for name in value}
    return {
        name: _drop_unset(inner, paths[name])
        for name, inner in value.items()
        if inner is not None or paths[name] not in field_reference()
    }


def _name_in(value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _duplicate_name(file: Path, document: Document, loop: ModelLoop, first_place: str) -> SpecProblem:
    location = ("metadata", "name")
    return SpecProblem(
        str(file),
        path_of(location),
        "must be unique",
        f"'{loop.metadata.name}'",
        f"{first_place} has it already.",
        loop.metadata.name,
        document.line(location),
    )
