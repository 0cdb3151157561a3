"""Names as papers write them, for tables and figures. The command line and CSV files have the ids."""

from __future__ import annotations

import re

DISPLAY_NAMES = {
    # objectives
    "ce": "CE",
    "focal": "Focal",
    "ls": "LS",
    "cp": "CP",
    "ep": "EP",
    "epg": "EPG",
    "aepg": "aEPG",
    "aepg-linear": "aEPG-linear",
    "aepg-cosine": "aEPG-cosine",
    "aepg-geometric": "aEPG-geometric",
    "aepg-entropy": "aEPG-entropy",
    "nepg": "nEPG",
    "naepg": "naEPG",
    "naepg-geometric": "naEPG-geometric",
    "naepg-geom.": "naEPG-geom.",
    "naepg-entropy": "naEPG-entropy",
    "alpha": "Mixture",
    "gce": "GCE",
    "sce": "SCE",
    "reinforce": "REINFORCE",
    # continual-learning methods
    "lae": "LAE",
    "inflora": "InfLoRA",
    "sd-lora": "SD-LoRA",
    "l2p": "L2P",
    "dualprompt": "DualPrompt",
    "coda-prompt": "CODA-Prompt",
    "ncm": "NCM",
    "ranpac": "RanPAC",
    "der++": "DER++",
    # PEFT modules
    "lora": "LoRA",
    "adapter": "Adapter",
    "prefix": "Prefix",
    "vpt": "VPT",
    "ssf": "SSF",
    "boft": "BOFT",
    "delora": "DeLoRA",
    "dora": "DoRA",
    "fourierft": "FourierFT",
    "ia3": "(IA)³",
    "loha": "LoHa",
    "lokr": "LoKr",
    "oft": "OFT",
    "randlora": "RandLoRA",
    "vera": "VeRA",
    # algorithms
    "reinforce-baseline": "REINFORCE-baseline",
    "ppo": "PPO",
    "a2c": "A2C",
    "dqn": "DQN",
    "qr-dqn": "QR-DQN",
    "trpo": "TRPO",
    "boltzmann": "Boltzmann",
    "linucb": "LinUCB",
    "thompson": "Thompson",
}
"""Display names by id. An id that is missing here is shown as it is; modules of your own may add theirs."""
_PART = re.compile(r"(?P<id>[^\s:,]+)(?P<given>:\S+?)?(?P<rest>,? .*)?")


def display_name(label: str) -> str:
    """The display name of an id, a specification, or a label that begins with one.

    >>> display_name("lora:r=10"), display_name("lae + aepg"), display_name("ce, 10 epochs")
    ('LoRA (r=10)', 'LAE + aEPG', 'CE, 10 epochs')
    """
    return " + ".join(_shown(part, " ({})") for part in label.split(" + "))


def short_name(label: str) -> str:
    """The same with the values of a specification alone, for tables that must fit a terminal.

    >>> short_name("reinforce:samples=1,baseline=running-mean"), short_name("ce")
    ('REINFORCE 1, running-mean', 'CE')
    """
    return " + ".join(_shown(part, " {}", values_alone=True) for part in label.split(" + "))


def id_of(label: str) -> str:
    """The id with which a label begins, or of a method and an objective the objective's.

    >>> id_of("focal:gamma=2"), id_of("ce, early stopping"), id_of("lae + aepg")
    ('focal', 'ce', 'aepg')
    """
    part = label.rpartition(" + ")[2]
    found = _PART.fullmatch(part)
    return part if found is None else found["id"]


def _shown(part: str, form: str, values_alone: bool = False) -> str:
    found = _PART.fullmatch(part)
    if found is None:
        return part
    given = (found["given"] or "").removeprefix(":").split(",")
    words = [each.rpartition("=")[2] if values_alone else each for each in given]
    parameters = form.format(", ".join(words)) if found["given"] else ""
    return f"{DISPLAY_NAMES.get(found['id'], found['id'])}{parameters}{found['rest'] or ''}"
