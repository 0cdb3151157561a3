"""The names of an environment's classes, the hashes that identify its stream of images, and how these were decoded."""

from __future__ import annotations

from typing import Any, NamedTuple

from stable_baselines3.common.vec_env import VecEnv

from cls_env.datasets.files.decoding import Decoding
from cls_env.specification import parse_specification


class StreamIdentity(NamedTuple):
    """The names of an environment's actions and the hashes of its stream; each None if the environment has none.

    Attributes:
        class_names: The name of each action, in order.
        stream_fingerprint: SHA-256 of the class order, the tasks, the index lists and the labels.
        images_sha256: SHA-256 of the pixels.
    """

    class_names: tuple[str, ...] | None
    stream_fingerprint: str | None
    images_sha256: str | None


def class_names_of(env: VecEnv) -> tuple[str, ...] | None:
    """The names of an environment's actions; None if it has none.

    Raises:
        ValueError: The environments of a vector environment have different names.
    """
    names = _common_attribute(env, "action_names")
    return None if names is None else tuple(map(str, names))


def reward_noise_of(env: VecEnv) -> str | None:
    """The name of the noise on an environment's rewards, such as `"gaussian"`; None if there is none.

    Raises:
        ValueError: The environments of a vector environment have different noise.
    """
    specification = _common_attribute(env, "reward_noise")
    return None if specification is None else parse_specification(specification)[0]


def image_decoding_of(env: VecEnv) -> Decoding | None:
    """How an environment's images were decoded from files; None if they were not, or it does not say.

    Raises:
        ValueError: The environments of a vector environment decoded them differently.
    """
    decoding = _common_attribute(env, "image_decoding")
    return decoding if isinstance(decoding, Decoding) else None


def identity_of(env: VecEnv) -> StreamIdentity:
    """Read the properties `action_names`, `stream_fingerprint` and `images_sha256` of an environment.

    Raises:
        ValueError: The environments of a vector environment show different streams.
    """
    return StreamIdentity(
        class_names_of(env), _common_attribute(env, "stream_fingerprint"), _common_attribute(env, "images_sha256")
    )


def _common_attribute(env: VecEnv, name: str) -> Any:
    """An attribute that is equal for all sub-environments; None if they do not have it."""
    if not env.has_attr(name):
        return None
    first, *others = env.get_attr(name)
    if any(other != first for other in others):
        raise ValueError(
            f"the environments of one vector environment must show one stream, but their {name} differ: make all of "
            "them with the same dataset and stream arguments"
        )
    return first
