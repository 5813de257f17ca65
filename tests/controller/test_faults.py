"""The fault test in small; `make test-faults` kills fifty times each."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "test_faults.py"


@pytest.mark.slow
@pytest.mark.local
@pytest.mark.timeout(1200)
def test_killed_processes_break_no_promise():
    audit = subprocess.run(
        [sys.executable, str(TOOL), "--kills", "3"], capture_output=True, text=True, check=False, timeout=1100
    )
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "no promise broken" in audit.stdout
