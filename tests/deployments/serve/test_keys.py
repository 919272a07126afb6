"""``audiograph keys``: refusals in one line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from audiograph.cli import app
from deployments.serve.keys import app as keys_app


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "serve_config.yaml"
    url = f"sqlite:///{tmp_path}/state/audiograph.db"
    path.write_text(f"applications: [{{args: {{models: {{}}, storage: {{database_url: '{url}'}}}}}}]")
    return str(path)


def _both(*words: str) -> tuple[Result, Result]:
    """Run a command as a part of ``audiograph``, and as a program of its own."""
    return CliRunner().invoke(app, ["keys", *words]), CliRunner().invoke(keys_app, list(words))


@pytest.mark.parametrize("words", [("create", ""), ("create", "a\nb"), ("revoke", ""), ("revoke", "a/b")])
def test_a_bad_name_or_id_is_a_usage_error(config: str, words: tuple[str, str]) -> None:
    for result in _both(*words, "--config", config):
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_a_database_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database" * 99)
    path = tmp_path / "serve_config.yaml"
    path.write_text(
        f"applications: [{{args: {{models: {{}}, storage: {{database_url: 'sqlite:///{broken}'}}}}}}]"
    )
    for result in _both("list", "--config", str(path)):
        assert result.exit_code == 1
        assert result.stderr.startswith("error: the server's database cannot be used")
        assert result.stderr.count("\n") == 1


def test_a_name_is_not_read_as_markup(config: str) -> None:
    for name in ("[/x]", "[red]y"):
        assert CliRunner().invoke(keys_app, ["create", name, "--config", config]).exit_code == 0
    listed = CliRunner().invoke(keys_app, ["list", "--config", config])
    assert listed.exit_code == 0
    assert "[/x]" in listed.stdout
    assert "[red]y" in listed.stdout
