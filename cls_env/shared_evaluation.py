"""How several environments evaluate on one split together: each image once, by one of them."""

from __future__ import annotations

import multiprocessing
from typing import Any, Protocol
from weakref import WeakSet

import gymnasium as gym


def evaluation_episodes(envs: Any) -> int:
    """The episodes that an evaluation takes to see each validation or test image of the current tasks once.

        accuracy, _ = evaluate_policy(model, envs, n_eval_episodes=evaluation_episodes(envs))

    Several single environments, in stable-baselines3's `DummyVecEnv` or `SubprocVecEnv` or in Gymnasium's
    `SyncVectorEnv` or `AsyncVectorEnv`, would each show all images. This function shares the images out among them, so
    that the episodes which `evaluate_policy` counts are each image once. The native vector environment needs no shares.

    Options that wait in stable-baselines3's `VecEnv`, set by `set_options`, are applied first, by a reset.

    Args:
        envs: An environment of this package over a validation or test split, wrapped or not; several of them in one of
            the classes above; or the native vector environment, also as `agents.GymnasiumVecEnv`.

    Returns:
        The number of images of the current tasks.

    Raises:
        ValueError: The environments show training images, which come in a shuffle, or are none of this package.
    """
    try:
        if hasattr(envs, "env_method"):
            return _share_in_sb3(envs)
        if isinstance(envs, gym.vector.VectorEnv) and not hasattr(envs.unwrapped, "share_images"):
            return _share_in_gymnasium(envs)
        total: int = envs.unwrapped.share_images(0, 1)
        return total
    except AttributeError as error:
        raise ValueError(f"{envs} holds no environments of this package: {error}") from error


def _share_in_sb3(envs: Any) -> int:
    base = envs.unwrapped
    options_wait = any(base._options)
    native = getattr(base, "venv", None)
    if isinstance(native, gym.vector.VectorEnv):
        if options_wait:
            envs.reset()
        return evaluation_episodes(native)
    for index in range(envs.num_envs):
        envs.env_method("share_images", index, envs.num_envs, indices=[index])
    if options_wait:
        envs.reset()
    return _one_of(envs.get_attr("epoch_length"))


def _share_in_gymnasium(envs: gym.vector.VectorEnv[Any, Any, Any]) -> int:
    base: Any = envs.unwrapped
    base.set_attr("image_share", [(index, base.num_envs) for index in range(base.num_envs)])
    return _one_of(list(base.get_attr("epoch_length")))


def _one_of(totals: list[int]) -> int:
    if len(set(totals)) > 1:
        raise ValueError(f"the environments show different tasks, of {', '.join(map(str, totals))} images")
    return int(totals[0])


class Shown(Protocol):
    """What is told apart of environments on one split."""

    @property
    def shows(self) -> tuple[object, ...]:
        """Stream, split and tasks."""

    @property
    def waits_for_first_answer(self) -> bool:
        """Whether it shows an image, and none was answered yet."""


class EvaluationWatch:
    """Notices several single environments that walk through one validation or test split side by side.

    Each shows all of the images, so an evaluation that counts episodes over all environments sees some images several
    times and others never. Environments in worker processes don't see one another; each says so by itself.
    """

    def __init__(self) -> None:
        self._members: WeakSet[Any] = WeakSet()
        self._warned: set[tuple[object, ...]] = set()

    def begins(self, member: Shown) -> None:
        """Note that an environment without a share is about to show the first image of a split.

        Raises:
            ValueError: Another one shows the first image of the same split at this moment.
        """
        alike = [other for other in self._members if other is not member and other.shows == member.shows]
        if any(other.waits_for_first_answer for other in alike):
            raise ValueError(
                "several environments are about to evaluate on the same images, and each would show all of them: an "
                "evaluation by all together sees some images several times and others never. Share the images out: "
                "n_eval_episodes=cls_env.evaluation_episodes(envs); or say of each environment that it shows all "
                "images by itself: env.unwrapped.share_images(0, 1)"
            )
        self._members.add(member)
        if multiprocessing.parent_process() is not None and member.shows not in self._warned:
            self._warned.add(member.shows)
            gym.logger.warn(
                "an environment in a worker process shows all images of a split that is for evaluation; an evaluation "
                "by several such environments together sees some images several times and others never, unless they "
                "are shared out: n_eval_episodes=cls_env.evaluation_episodes(envs)"
            )

    def forget(self, member: Shown) -> None:
        """Forget an environment, which has a share now or is closed."""
        self._members.discard(member)


WATCH = EvaluationWatch()
