"""What a method declares holds, and a wrong declaration is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest

from agents import EPG
from agents.methods import METHODS, Method, PeftRequirement, check_method, register_method
from agents.methods.base import RENAMED

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.mark.parametrize(
    ("requirement", "accepted", "refused"),
    [
        (PeftRequirement(), ["none", "lora", "adapter"], []),
        (PeftRequirement(refused=("none",)), ["lora", "adapter:bottleneck=2"], ["none"]),
        (PeftRequirement(("lora", "adapter")), ["lora", "adapter:bottleneck=2"], ["dora", "none", "full"]),
        (PeftRequirement(("lora",), arguments=("r",)), ["lora", "lora:r=2"], ["lora:r=2,targets=qkv", "none"]),
        (PeftRequirement(("lora",), values={"scale": True}), ["lora:scale=true,r=2"], ["lora", "lora:scale=false"]),
    ],
)
def test_other_modules_than_the_accepted_ones_are_refused(
    requirement: PeftRequirement, accepted: list[str], refused: list[str], make_vec: MakeVec
) -> None:
    declared = {"accepts_peft": requirement, "default_peft": accepted[-1]}
    register_method("declares")(type("Declares", (Method,), declared))
    try:
        for peft in accepted:
            check_method("declares", peft, "ce")
        for peft in refused:
            message = f"Declares is not made for every PEFT module: it requires .*, not '{peft}'"
            with pytest.raises(ValueError, match=message) as error:
                check_method("declares", peft, "ce")
            assert "\n" not in str(error.value)
            with pytest.raises(ValueError, match="it requires"):
                EPG("ViTPolicy", make_vec(8), "ce", batch_size=8, policy_kwargs={"method": "declares", "peft": peft})
    finally:
        METHODS.pop("declares")


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (PeftRequirement(), "any PEFT module"),
        (PeftRequirement(refused=("none", "full")), "any PEFT module except 'none' or 'full'"),
        (PeftRequirement(("lora", "dora")), "peft 'lora' or 'dora'"),
        (
            PeftRequirement(("lora",), arguments=("r", "scale"), values={"scale": True}),
            "peft 'lora:scale=true' with the arguments r only",
        ),
    ],
)
def test_a_requirement_in_words(requirement: PeftRequirement, text: str) -> None:
    assert str(requirement) == text


@pytest.mark.parametrize("name", METHODS)
def test_the_default_module_of_a_method_is_accepted(name: str) -> None:
    definition = METHODS[name]
    assert definition.accepts_peft.accepts(definition.default_peft)
    assert definition.peft_or_default("adapter") == (
        "adapter" if definition.accepts_peft.any_name else definition.default_peft
    )


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("lorra", "unknown PEFT module 'lorra'; did you mean 'lora'"),
        ("lora:r=abc", "r of PEFT module 'lora' must be a whole number"),
        ("prompt-tuning", "does not fit a ViT"),
    ],
)
def test_a_default_that_names_no_module_is_refused(declared: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"method 'wrong': default_peft .*{message}"):
        register_method("wrong")(type("Wrong", (Method,), {"default_peft": declared}))
    assert "wrong" not in METHODS


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"default_peft": None}, "Wrong.default_peft: expected text, 'name'"),
        ({"accepts_peft": "lora"}, "Wrong.accepts_peft must be a PeftRequirement, not 'lora'"),
        (
            {"accepts_peft": PeftRequirement(("none",))},
            "Wrong.default_peft: .* it requires peft 'none', not 'lora'",
        ),
    ],
)
def test_declarations_that_contradict_are_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type("Wrong", (Method,), declared)


@pytest.mark.parametrize("name", RENAMED)
def test_an_earlier_name_of_a_hook_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"Old.{name} would be ignored: it is named {RENAMED[name]} now"):
        type("Old", (Method,), {name: lambda self, network, task: None})
