"""Settings of the model server, read once at start from the environment (`DRIFTLOOP_SERVING_...`)."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServingSettings(BaseSettings):
    """How one model server serves."""

    model_config = SettingsConfigDict(env_prefix="DRIFTLOOP_SERVING_", frozen=True, use_attribute_docstrings=True)

    tap_socket: Path | None = None
    """Unix socket of the monitor. Absent: nothing is recorded."""
    clock: Literal["wall", "replay"] = "wall"
    """Event time of a request. wall: when it was received. replay: what its header says."""
    max_body_bytes: int = Field(default=4_000_000, gt=0)
    """Largest body of a request."""
    max_rows: int = Field(default=10_000, gt=0)
    """Most rows in a request."""
    tap_max_rows: int = Field(default=100_000, gt=0)
    """Most rows waiting for the monitor; beyond it records are dropped and counted."""
    tap_max_bytes: int = Field(default=32_000_000, gt=0)
    """Most bytes of request bodies waiting for the monitor; beyond it records are dropped and counted."""
