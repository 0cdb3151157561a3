"""`cls-env report` replaces a report, and no other file."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.commands.report import report_command


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
