"""`cls-env report` replaces a report, and no other file."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.commands.report import report_command
from tests.full_disk import files_of_at_most


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    config, link = tmp_path / "config.json", tmp_path / "link"
    config.write_text("{}")
    link.symlink_to(tmp_path / "nowhere")
    for target in (config, link):
        with pytest.raises(FileExistsError, match="is there already and is no report: give the name of another file"):
            report_command((tmp_path,), target)
    assert config.read_text() == "{}" and link.is_symlink()


@pytest.mark.long
def test_a_report_is_known(comparison: Path, tmp_path: Path) -> None:
    from experiments.report_page.page import is_page

    assert is_page(comparison / "report.html")
    (tmp_path / "other.html").write_text("<title>other</title>")
    assert not is_page(tmp_path / "other.html")


@pytest.mark.long
def test_a_full_disk_is_one_line_and_the_report_before_is_kept(
    comparison: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    page.write_bytes((comparison / "report.html").read_bytes())
    with files_of_at_most(20_000):
        assert main(["report", str(comparison), "--out", str(page)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert str(page) in line
    assert page.read_bytes() == (comparison / "report.html").read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
