"""The commands of `cls-env`, in groups, each with one line of help."""

from __future__ import annotations

GROUPS: dict[str, dict[str, str]] = {
    "train and compare": {
        "run": "train one agent on one stream, task by task",
        "compare": "compare objectives over label noise and seeds: the main job",
        "bounds": "compare a sequential learner with joint training and a frozen random backbone",
        "rl": "compare reinforcement-learning algorithms on one stream",
        "tune": "search each objective's own settings with an equal budget, and compare at the best",
        "sweep": "run all combinations of some settings, which a file lists",
        "study": "list the studies; `study NAME` runs one",
        "presets": "list the published settings; `presets NAME` runs one",
        "report": "write an interactive page of finished runs",
        "probe": "compare what pretrained backbones know about a dataset",
        "pretrain": "pretrain a backbone on photographs",
        "pretrain-characters": "pretrain the embedded backbone of characters",
    },
    "use a trained model": {
        "predict": "name the classes of images, with probabilities",
        "evaluate": "test a model on a folder of labeled images",
        "continue": "teach a model the new classes of a folder",
        "export": "write a model for timm, peft or ONNX",
    },
    "images": {
        "stream": "describe the tasks of a stream",
        "datasets": "list the datasets",
        "download": "download a dataset and check it",
        "cache": "list or remove the stores of decoded images",
    },
    "names for the options": {
        "objectives": "list the objectives with their arguments",
        "modules": "list the PEFT modules with their arguments",
        "methods": "list the continual-learning methods with their arguments",
    },
}
"""A line of help for each command, by the title of its group."""

OF_DATASETS = ("datasets", "download", "cache")
"""Commands of `cls_env` itself. All others are in the package `experiments`."""
COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}
"""All commands with their lines of help."""


def overview() -> str:
    """The text of `cls-env --help`."""
    from cls_env.command_line.errors import DEBUG_HELP

    width = max(map(len, COMMANDS))
    groups = [
        "\n".join([f"{title}:", *(f"  {name:{width}}  {line}" for name, line in commands.items())])
        for title, commands in GROUPS.items()
    ]
    return "\n\n".join(
        [
            "usage: cls-env COMMAND [OPTIONS]",
            "Fine-tune pretrained vision transformers on new classes, task by task, with reinforcement learning or "
            "ordinary losses.",
            *groups,
            f"`cls-env COMMAND --help` shows the options of a command. {DEBUG_HELP}.",
        ]
    )
