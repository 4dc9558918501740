"""The command line of an operator, with this worker's stack."""

import asyncio

import pytest
from typer.testing import CliRunner

from cli import app, operators
from kernel.config.settings import Settings
from kit.process import environment


@pytest.fixture
def operator(stack, monkeypatch, tmp_path):
    """Runs `./app …` with settings that name the stack."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment(stack).items():
        if name.lower() in Settings.model_fields:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(operators, "ROOT", tmp_path)  # a folder without .env and without a stack

    async def run(*words: str):
        # In a thread, because the command starts its own event loop.
        return await asyncio.to_thread(CliRunner().invoke, app, list(words))

    return run
