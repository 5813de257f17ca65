"""A process that dies between two steps that change the disk."""

import os
import shutil
from pathlib import Path


class Died(BaseException):
    """The moment after which the process does nothing more."""


def die_at_call(monkeypatch, fatal):
    """Die at the `fatal`-th of the calls that change the disk, before it happens."""
    calls = 0

    def dying(original):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls >= fatal:
                raise Died
            return original(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "fsync", dying(os.fsync))
    monkeypatch.setattr(Path, "replace", dying(Path.replace))
    monkeypatch.setattr(Path, "unlink", dying(Path.unlink))
    monkeypatch.setattr(Path, "mkdir", dying(Path.mkdir))
    monkeypatch.setattr(Path, "rename", dying(Path.rename))
    monkeypatch.setattr(os, "link", dying(os.link))
    monkeypatch.setattr(shutil, "rmtree", dying(shutil.rmtree))
