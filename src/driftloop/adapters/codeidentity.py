"""Which code is installed: the digest that keeps results of other code out of the pipeline's cache."""

import hashlib
from pathlib import Path


def code_digest() -> str:
    """Return the SHA-256 over names and content of the installed driftloop sources.

    The laptop's counterpart of the image digest. The compiled package is left out: it is part of every cache key.
    """
    import driftloop

    root = Path(driftloop.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
