"""The notebooks open in JupyterLab, as `make notebooks` starts it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[3] / "experiments" / "notebooks"
SECONDS_TO_START = 120

pytestmark = pytest.mark.slow


class Server:
    """A running JupyterLab."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    def ask(self, path: str, content: dict[str, Any] | None = None) -> bytes:
        data = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": f"token {self._token}", "Content-Type": "application/json"}
        with urlopen(Request(self._url + path, data, headers), timeout=60) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("jupyterlab", reason="`make slow` installs it")
    home, token = tmp_path_factory.mktemp("jupyter"), secrets.token_hex()
    places = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyterlab", str(NOTEBOOKS), "--no-browser", f"--IdentityProvider.token={token}"]
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")
    process = subprocess.Popen(command, env=os.environ | places, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Server(_url_of(process, home / "RUNTIME"), token)
    finally:
        process.terminate()
        process.wait()


def _url_of(process: subprocess.Popen[bytes], runtime: Path) -> str:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        assert process.poll() is None, f"JupyterLab ended with {process.returncode}"
        for file in runtime.glob("jpserver-*.json"):
            url: str = json.loads(file.read_text())["url"]
            try:
                urlopen(url + "api", timeout=5).close()
            except URLError:
                continue
            return url
        time.sleep(0.2)
    raise TimeoutError(f"JupyterLab did not start in {SECONDS_TO_START} s")


def test_jupyterlab_shows_its_page(server: Server) -> None:
    assert b"JupyterLab" in server.ask("lab")


@pytest.mark.parametrize("name", sorted(file.name for file in NOTEBOOKS.glob("*.ipynb")))
def test_a_notebook_opens_and_gets_a_kernel(server: Server, name: str) -> None:
    opened = json.loads(server.ask(f"api/contents/{name}"))
    notebook = nbformat.from_dict(opened["content"])
    nbformat.validate(notebook)
    assert opened.get("message") is None  # the server's remark on a notebook that is not valid
    assert [cell.source for cell in notebook.cells] == [
        cell.source for cell in nbformat.read(NOTEBOOKS / name, as_version=4).cells
    ]
    kernel = {"name": notebook.metadata.kernelspec.name}
    session = json.loads(server.ask("api/sessions", {"path": name, "name": name, "type": "notebook", "kernel": kernel}))
    assert session["kernel"]["name"] == kernel["name"]
