"""The model card of a checkpoint: `README.md`, with the head that the Hugging Face hub reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from agents.networks.preprocessing import Preprocessing
from agents.policy import ViTPolicy
from cls_env.command_line.printable import printable

CardNotes: TypeAlias = Mapping[str, Mapping[str, Any] | str]
"""Further contents of a card by heading: entries by name, or Markdown. A heading of the card itself gets the entries
before its own."""
MOST_CLASSES_LISTED = 100
_NO_SETTINGS = frozenset(
    {
        *("algorithm", "policy", "policy_class", "backbone_sha256", "observation_shape", "num_actions", "class_names"),
        *("stream_fingerprint", "images_sha256", "image_decoding", "current_task", "tasks_begun", "num_timesteps"),
        *("n_updates", "action_seed", "view_seed"),
    }
)
"""Entries of `model.json` that other sections of the card tell, or that are no settings."""
_USE = """```python
from agents import load_agent

agent = load_agent("model.zip")
print(agent.classify("photo.jpg", top=5))
```

On the command line: `cls-env predict model.zip photo.jpg`"""


def model_card(description: Mapping[str, Any], policy: ViTPolicy, notes: CardNotes) -> str:
    """The card of an agent.

    Args:
        description: The contents of `model.json`.
        policy: The agent's policy.
        notes: What the caller knows of data, settings and measures.

    Returns:
        Markdown with a YAML head.
    """
    own: dict[str, dict[str, Any]] = {
        "Model": _model(description, policy),
        "Data": _data(description, policy.seen_classes.tolist()),
        "Input": _input(description["image_decoding"], policy.network.preprocessing),
        "Settings": {name: value for name, value in description.items() if name not in _NO_SETTINGS},
    }
    sections: dict[str, Any] = own | dict(notes)
    for heading in own:
        given = notes.get(heading, {})
        sections[heading] = [given, own[heading]]
    config = policy.config
    title = f"# {_code(config.model)} with {_code(config.peft)}, {len(policy.seen_classes)} classes"
    about = "An image classifier that was trained as a policy, by reinforcement learning, with `cls-env`."
    parts = [_head(description), title, about]
    parts += [f"## {printable(heading)}\n\n{_section(content)}" for heading, content in sections.items()]
    return "\n\n".join([*parts, f"## Use\n\n{_USE}"]) + "\n"


def _head(description: Mapping[str, Any]) -> str:
    """The YAML head. JSON's strings are YAML's."""
    policy = description["policy"]
    names = (policy[part].partition(":")[0] for part in ("peft", "method"))
    tags = ["image-classification", "continual-learning", "reinforcement-learning", *names]
    tagged = "\n".join(f"- {json.dumps(tag)}" for tag in dict.fromkeys(tags))
    return f"---\nlibrary_name: cls-env\npipeline_tag: image-classification\ntags:\n{tagged}\n---"


def _model(description: Mapping[str, Any], policy: ViTPolicy) -> dict[str, Any]:
    config = policy.config
    weights = f"the file {config.weights}" if config.weights else "pretrained" if config.pretrained else "random"
    return {
        "algorithm": description["algorithm"],
        "continual-learning method": config.method,
        "backbone": config.model,
        "weights of the backbone": weights,
        "SHA-256 of these weights": policy.backbone_hash,
        "PEFT module": config.peft,
        "blocks with the module": list(config.blocks),
    }


def _data(description: Mapping[str, Any], seen: Sequence[int]) -> dict[str, Any]:
    names = description["class_names"]
    learned = [str(action) if names is None else names[action] for action in seen]
    further = len(learned) - MOST_CLASSES_LISTED
    more = [f"and {further} more, named in model.json"] if further > 0 else []
    return {
        "tasks learned": description["tasks_begun"],
        "classes learned": f"{len(learned)} of {description['num_actions']}",
        "in the order learned": [*learned[:MOST_CLASSES_LISTED], *more],
        "SHA-256 of the stream": description["stream_fingerprint"],
        "SHA-256 of its pixels": description["images_sha256"],
    }


def _input(decoding: Mapping[str, Any] | None, preprocessing: Preprocessing) -> dict[str, Any]:
    view = preprocessing.view
    if decoding is None:
        stored: dict[str, Any] = {"files are decoded": "by the defaults of cls-env: the training images were arrays"}
    else:
        stored = {f"stored images: {name.replace('_', ' ')}": value for name, value in decoding.items()}
    return {
        **stored,
        "seen by the backbone": f"{view.size[0]} x {view.size[1]} RGB pixels",
        "central crop": f"{view.crop_fraction:g} of the side, where the image is of another size",
        "interpolation of the crop": view.interpolation,
        "mean of red, green, blue in [0, 1]": [round(value, 6) for value in preprocessing.mean.flatten().tolist()],
        "their standard deviation": [round(value, 6) for value in preprocessing.std.flatten().tolist()],
    }


def _section(content: Any) -> str:
    """Markdown of a section: text, entries by name, or a list of these."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(_section, content)))
    return "\n".join(f"- {printable(name)}: {', '.join(_cells(value))}" for name, value in content.items())


def _cells(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, (list, tuple)) else [value]:
        yield "none" if each is None else _code(each if isinstance(each, str) else json.dumps(each, default=str))


def _code(text: str) -> str:
    """Text as it is; Markdown changes nothing within backticks."""
    shown = printable(text)
    fence = "``" if "`" in shown else "`"
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
