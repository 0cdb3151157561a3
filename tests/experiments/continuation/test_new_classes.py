"""Classes of a model and of a folder are compared by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.continuation.new_classes import new_classes

MODEL, ROOT = Path("may.zip"), Path("june")


@pytest.mark.parametrize(
    ("found", "new"),
    [(["ant", "cat", "dog", "elk"], ["ant", "elk"]), (["elk", "ant"], ["elk", "ant"]), (["Cat"], ["Cat"])],
)
def test_new_classes_are_in_the_order_of_the_folder(found: list[str], new: list[str]) -> None:
    assert new_classes(["dog", "cat"], found, MODEL, ROOT) == new


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (["cat", "dog", "emu"], r"june has no class that may\.zip has not learned: nothing is new"),
        (["cat"], "nothing is new"),
        (["cats", "dog", "emu"], r"june has 'cats' and lacks 'cat', .*name the folder 'cat' again; if 'cats' is new"),
        (["ant", "bee", "dog", "emu"], r"lacks 1 of the 3 classes .*, 'cat': add .* new classes alone, 'ant', 'bee'"),
        (["ant", "dog"], r"june lacks 2 of the 3 classes that may\.zip has learned, 'emu', 'cat'"),
    ],
)
def test_other_folders_are_refused_by_name(found: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        new_classes(["emu", "dog", "cat"], found, MODEL, ROOT)
