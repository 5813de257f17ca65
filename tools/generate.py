"""Writes everything that is generated; `--check` compares instead.

Run by `make generate` and `make verify`: compiled packages, a README for each component, the reference of ModelLoops,
the chart's custom resource definitions and admission policy, and the rest of what `deployment_files` lists.
"""

import difflib
import importlib
import inspect
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMPILED = Path("src/driftloop/compiled")
CHART_FILES = Path("helm/driftloop/files")
# Names the compiler's version rather than what the package does; the check looks past it.
_VARIES = "sdkVersion:"


def main(arguments: list[str]) -> int:
    """Generate or check; return the exit code."""
    sys.path.insert(0, str(ROOT))
    from tools.deployment_files import build_deployment_files

    wanted = dict(_generate())
    wanted |= build_deployment_files(wanted)
    if arguments == ["--check"]:
        return _check(wanted)
    for path, text in wanted.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


def _generate() -> Iterator[tuple[Path, str]]:
    """Yield path and content of every generated file."""
    from driftloop.cli.crd import to_yaml
    from driftloop.cli.schema import build_markdown
    from driftloop.workload.approvalpolicy import approval_policy, approval_policy_binding
    from driftloop.workload.crd import driftreport_crd, modelloop_crd
    from pipelines.adoption import adoption_pipeline
    from pipelines.feasibility import feasibility_pipeline
    from pipelines.schedule import schedule_pipeline
    from pipelines.training import training_pipeline

    yield Path("docs/modelloop.md"), build_markdown() + "\n"
    yield CHART_FILES / "crds" / "modelloops.yaml", to_yaml(modelloop_crd())
    yield CHART_FILES / "crds" / "driftreports.yaml", to_yaml(driftreport_crd())
    yield CHART_FILES / "approvalpolicy.yaml", to_yaml(approval_policy(), approval_policy_binding())
    yield COMPILED / "adoption.yaml", _compile(adoption_pipeline)
    yield COMPILED / "feasibility.yaml", _compile(feasibility_pipeline)
    yield COMPILED / "schedule.yaml", _compile(schedule_pipeline)
    yield COMPILED / "training.yaml", _compile(training_pipeline)
    for folder in sorted(path.parent for path in (ROOT / "components").glob("*/component.py")):
        module = importlib.import_module(f"components.{folder.name}.component")
        component = getattr(module, folder.name)
        yield COMPILED / "components" / f"{folder.name}.yaml", _compile(component)
        yield Path("components") / folder.name / "README.md", _readme(component)


def _compile(subject: Any) -> str:
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "package.yaml"
        compiler.Compiler().compile(subject, str(path))
        return path.read_text(encoding="utf-8")


def _readme(component: Any) -> str:
    """Describe a component by its docstring and signature; several returned values are named there like arguments."""
    function = component.python_func
    summary, arguments, returns = _read_docstring(inspect.getdoc(function) or "")
    definition = component.component_spec
    lines = [f"# {function.__name__}", "", summary, "", f"The stage itself: `driftloop.stages.{function.__name__}`."]
    for title, slots in (("Inputs", definition.inputs or {}), ("Outputs", definition.outputs or {})):
        rows = [f"| `{name}` | {_type(slot.type)} | {arguments.get(name, returns)} |" for name, slot in slots.items()]
        if rows:
            lines += ["", f"## {title}", "", "| name | type | meaning |", "|---|---|---|", *rows]
    lines += ["", "Generated from `component.py` by `make generate`."]
    return "\n".join(lines) + "\n"


def _read_docstring(text: str) -> tuple[str, dict[str, str], str]:
    """Return summary, meaning of each argument, and what is returned, of a Google-style docstring."""
    summary, _, rest = text.partition("\n\nArgs:\n")
    named, _, returns = rest.partition("\n\nReturns:\n")
    pairs = (line.strip().partition(": ") for line in (named + "\n" + returns).splitlines())
    return summary, {name: meaning for name, _, meaning in pairs}, " ".join(returns.split())


def _type(kfp_type: str) -> str:
    return kfp_type.removeprefix("system.").partition("@")[0]


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(_VARIES)]


def _check(wanted: dict[Path, str]) -> int:
    """Print how the files on disk differ from `wanted`; return 1 if they do."""
    from tools.deployment_files import GENERATED_FOLDERS

    folders = (COMPILED, *GENERATED_FOLDERS)
    existing = {path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.yaml")}
    differences = []
    for path in sorted(existing | wanted.keys()):
        old = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""
        new = wanted.get(path, "")
        differences += difflib.unified_diff(
            _lines(old), _lines(new), f"{path} (on disk)", f"{path} (generated)", lineterm="", n=1
        )
    if differences:
        sys.stderr.write("\n".join(differences[:80]) + "\n\nGenerated files are not up to date. Run: make generate\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
