"""`cls-env` finds every command, and says in one line why it can't."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cls_env.__main__ import main
from cls_env.command_line.errors import ReportedError
from cls_env.commands.front_door import check_own
from cls_env.commands.listing import COMMANDS, GROUPS, OF_DATASETS
from experiments.__main__ import PLACES

ROOT = Path(__file__).parents[3]


def test_every_listed_command_is_there(capsys: pytest.CaptureFixture) -> None:
    assert set(COMMANDS) == {*OF_DATASETS, *PLACES} and sum(map(len, GROUPS.values())) == len(COMMANDS)
    for place in PLACES.values():
        module, _, function = place.partition(":")
        assert callable(getattr(import_module(f"experiments.commands.{module}"), function))
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n  {name} " in listed and line in listed for name, line in COMMANDS.items())
    assert main([]) == 0 and capsys.readouterr().out == listed


def test_both_names_give_the_same_answer(capsys: pytest.CaptureFixture) -> None:
    from experiments.__main__ import main as second_name

    for words in (["datasets"], ["methods"], ["--help"]):
        answers = []
        for either in (main, second_name):
            assert either(words) == 0
            answers.append(capsys.readouterr().out)
        assert answers[0] == answers[1] != ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["comapre"], "error: unknown command 'comapre'; did you mean 'compare'?"),
        (["--epochs", "3"], "error: the command comes first: cls-env COMMAND --epochs"),
    ],
)
def test_a_wrong_command_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.startswith(message) and said.err.count("\n") == 1 and said.out == ""


@pytest.mark.parametrize("name", ["agents", "experiments"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_another_package_of_the_name_is_named(
    name: str, is_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / name / "__init__.py" if is_folder else tmp_path / f"{name}.py"
    other.parent.mkdir(exist_ok=True)
    other.write_text("raise SystemExit('it was imported')\n")
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ReportedError, match=rf"another package '{name}' in {tmp_path}.* and not the one of cls-env in"):
        check_own(name)


@pytest.mark.long
def test_a_command_beside_another_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("")
    program = f"import sys; sys.path.append({str(ROOT)!r}); from cls_env.__main__ import main; sys.exit(main(['run']))"
    process = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    assert process.stderr.startswith("error: Python finds another package 'experiments' in")


@pytest.mark.long
def test_without_the_extra_the_command_to_install_it_is_named() -> None:
    program = "import sys; sys.modules['tyro'] = None; from cls_env.__main__ import main; sys.exit(main(['compare']))"
    process = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr == "error: this command needs the package 'tyro': pip install 'cls-env[experiments]'\n"
