"""The metadata of the package, and the README that a package index shows."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

import cls_env

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
OF_DEVELOPERS = {"dev", "docs"}
OTHER_RL_LIBRARIES = {"torchrl", "tianshou", "rllib"}
ADDRESS = "https://example.org/owner/cls-env"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def packages_of(extra: str) -> set[str]:
    """The packages that an extra installs, with those of the extras that it names."""
    found: set[str] = set()
    for requirement in map(Requirement, EXTRAS[extra]):
        found |= set().union(*map(packages_of, requirement.extras)) if requirement.name == "cls-env" else set()
        found |= {requirement.name} - {"cls-env"}
    return found


def relative_links(text: str) -> list[str]:
    return re.findall(r"\]\((?!https://)([^)]+)\)", text)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_installs_something(extra: str) -> None:
    assert packages_of(extra)


def test_all_has_every_extra_but_the_other_rl_libraries() -> None:
    of_users = set(EXTRAS) - OTHER_RL_LIBRARIES - OF_DEVELOPERS
    assert packages_of("all") == set().union(*map(packages_of, of_users))


def test_extras_that_the_documents_and_messages_name_exist() -> None:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    files += [file for package in ("cls_env", "agents", "experiments") for file in (ROOT / package).rglob("*.py")]
    named = re.findall(r"cls-env\[([a-z0-9,]+)\]", "\n".join(file.read_text(encoding="utf-8") for file in files))
    assert named and {name for names in named for name in names.split(",")} <= set(EXTRAS)


def test_the_install_page_lists_the_extras() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    table = page.partition("| extra | what you get |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines() if "`" in row))
    assert sorted(listed) == sorted(EXTRAS)


def test_citation_and_classifiers_have_the_version() -> None:
    assert f"\nversion: {cls_env.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    versions = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    for workflow in ("ci.yml", "package.yml"):
        matrix = re.findall(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / workflow).read_text())
        assert matrix == [", ".join(f'"{version}"' for version in versions)], workflow


def test_links_of_the_readme_lead_to_the_repository(hook: ModuleType) -> None:
    text = hook.with_addresses(README, ADDRESS, "v1.2.3")
    assert relative_links(README) and not relative_links(text)
    for file in re.findall(rf"\({ADDRESS}/(?:blob|raw)/v1\.2\.3/([^)#]+)", text):
        assert (ROOT / file).exists(), file


def test_images_and_links_have_their_own_addresses(hook: ModuleType) -> None:
    readme = "![a](b.png) [c](d.md#e) [f](https://g.org) [h](#i)"
    expected = f"![a]({ADDRESS}/raw/v1/b.png) [c]({ADDRESS}/blob/v1/d.md#e) [f](https://g.org) [h](#i)"
    assert hook.with_addresses(readme, ADDRESS, "v1") == expected


def test_without_an_address_no_link_is_broken(hook: ModuleType) -> None:
    assert hook.without_relative_links("![a](b.png)[c](d.md) [f](https://g.org)") == "c [f](https://g.org)"
    assert not relative_links(hook.without_relative_links(README))


@pytest.mark.parametrize("given", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}.git", f" {ADDRESS}\n"])
def test_spellings_of_an_address(hook: ModuleType, given: str) -> None:
    assert hook.repository_address({hook.REPOSITORY_VARIABLE: given}) == ADDRESS


def test_an_address_may_be_missing_but_not_wrong(hook: ModuleType) -> None:
    assert hook.repository_address({}) == ""
    with pytest.raises(ValueError, match=r"CLS_ENV_REPOSITORY is 'git@example.org:o/n', and must be an address"):
        hook.repository_address({hook.REPOSITORY_VARIABLE: "git@example.org:o/n"})
