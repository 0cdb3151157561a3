from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from agents.peft_modules import PEFT_MODULES, add_peft_module, check_peft_module
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
        ("lora:r=abc", r"r of PEFT module 'lora' must be a whole number, not 'abc'"),
        ("lora:r=2.5", r"r of PEFT module 'lora' must be a whole number, not 2\.5"),
        ("lora:scale=False", r"scale of PEFT module 'lora' must be true or false, not 'False'"),
        ("prefix:compensatory=yes", r"compensatory of PEFT module 'prefix' must be true or false, not 'yes'"),
        ("lora:blocks=3", r"unknown argument of PEFT module 'lora' 'blocks'. Known: r, scale, targets"),
        ("lora:r=2,r=3", r"given twice"),
        ("lora:rr=3", r"unknown argument of lora 'rr'"),
        ("lora:use_rslora=no", r"use_rslora of lora must be true or false, not 'no'"),
        ("dora:name=x", r"unknown argument of dora 'name'"),
        ("hra:r=abc", r"r of hra must be a number, not 'abc'"),
        ("hra:targets=3", r"targets of PEFT module 'hra' must be a word, not 3"),
        ("lora:lora_dropout=0.1", r"lora_dropout would do nothing"),
        ("adamss:use_asa=true", r"use_asa would do nothing"),
        (None, r"expected text, 'name'.*not None"),
        ("none:r=2", r"PEFT module 'none' has no argument, and so no 'r'"),
    ],
)
def test_what_is_no_module_is_refused(specification: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_peft_module(specification)


@pytest.mark.parametrize("specification", ["lora:r=0", "hra:r=2.5", "lora:bias=al", "lora:target_parameters=x"])
def test_values_that_fail_within_peft_are_named(specification: str, make_vit: Callable[..., nn.Module]) -> None:
    check_peft_module(specification)
    with pytest.raises(
        ValueError, match=f"PEFT module {specification!r}: |r must be a whole number of at least 1, not 0"
    ):
        add_peft_module(specification, make_vit(), (0,), 0)
