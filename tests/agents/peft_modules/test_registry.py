from __future__ import annotations

import pytest

from agents.peft_modules import PEFT_MODULES, check_peft_module
from agents.peft_modules.library import METHODS, UNFIT


def test_all_methods_have_a_name() -> None:
    assert set(METHODS) <= set(PEFT_MODULES) and not set(UNFIT) & set(PEFT_MODULES)


@pytest.mark.parametrize("name", UNFIT)
def test_a_method_that_does_not_fit_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ValueError, match=f"peft's {name} does not fit a ViT: "):
        check_peft_module(name)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("lorra", r"unknown PEFT module 'lorra'; did you mean 'lora'"),
        ("lora:8", r"name:key=value"),
        ("none:r=2", r"PEFT module 'none' has no argument, and so no 'r'"),
    ],
)
def test_what_is_no_module_is_refused(specification: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_peft_module(specification)
