"""Evaluation on one split by several environments: each image is counted once."""

from __future__ import annotations

import multiprocessing
from typing import Any, Protocol
from weakref import WeakSet

import gymnasium as gym


def evaluation_episodes(envs: Any) -> int:
    """Split the evaluation images among the environments, and return how many episodes see each image once.

        accuracy, _ = evaluate_policy(model, envs, n_eval_episodes=evaluation_episodes(envs))

    Without it, each of several single environments iterates over all images. This function gives each of them its
    share, so that the episodes that `evaluate_policy` counts contain each image once. It works for stable-baselines3's
    `DummyVecEnv` and `SubprocVecEnv` and for Gymnasium's `SyncVectorEnv` and `AsyncVectorEnv`. The native vector
    environment needs no shares. The next reset begins a new pass. If options set by stable-baselines3's `set_options`
    are pending, this function resets the environments to apply them.

    Args:
        envs: An environment of this package over a validation or test split, wrapped or not; several of them in one of
            the classes above; or the native vector environment, also as `agents.GymnasiumVecEnv`.

    Returns:
        The number of images of the current tasks.

    Raises:
        ValueError: The environments use training images, belong to another package, or have different tasks.
    """
    if hasattr(envs, "env_method"):
        return _share_in_sb3(envs)
    if isinstance(envs, gym.vector.VectorEnv) and not hasattr(envs.unwrapped, "share_images"):
        return _share_in_gymnasium(envs)
    if not hasattr(envs.unwrapped, "share_images"):
        raise _not_ours(envs)
    total: int = envs.unwrapped.share_images(0, 1)
    return total


def _share_in_sb3(envs: Any) -> int:
    base = envs.unwrapped
    options_wait = any(base._options)
    native = getattr(base, "venv", None)
    if isinstance(native, gym.vector.VectorEnv):
        if options_wait:
            envs.reset()
        return evaluation_episodes(native)
    if not envs.has_attr("share_images"):
        raise _not_ours(envs)
    for index in range(envs.num_envs):
        envs.env_method("share_images", index, envs.num_envs, indices=[index])
    if options_wait:
        envs.reset()
    return _common_total(envs.get_attr("epoch_length"))


def _share_in_gymnasium(envs: gym.vector.VectorEnv[Any, Any, Any]) -> int:
    base: Any = envs.unwrapped
    if not all(base.call("has_wrapper_attr", "image_share")):
        raise _not_ours(envs)
    base.set_attr("image_share", [(index, base.num_envs) for index in range(base.num_envs)])
    return _common_total(list(base.get_attr("epoch_length")))


def _not_ours(envs: Any) -> ValueError:
    return ValueError(f"evaluation_episodes needs environments of cls_env, not {envs}")


def _common_total(totals: list[int]) -> int:
    if len(set(totals)) > 1:
        raise ValueError(f"the environments have different tasks, with {', '.join(map(str, totals))} images")
    return int(totals[0])


class EvaluationEnv(Protocol):
    """What `EvaluationWatch` reads of an environment."""

    @property
    def image_selection(self) -> tuple[object, ...]:
        """Stream fingerprint, split and current tasks."""

    @property
    def num_episodes(self) -> int:
        """The episodes finished since construction."""


class EvaluationWatch:
    """Notices several single environments that step through one validation or test split side by side.

    Each iterates over all of the images. An evaluation that counts the episodes of all environments then counts some
    images several times and misses others. Environments in different worker processes do not know of one another, so
    each one warns.
    """

    def __init__(self) -> None:
        self._members: WeakSet[Any] = WeakSet()
        self._warned: set[tuple[object, ...]] = set()

    def add(self, env: EvaluationEnv) -> None:
        """Watch an environment that iterates over all images of an evaluation split."""
        self._members.add(env)
        if multiprocessing.parent_process() is not None and env.image_selection not in self._warned:
            self._warned.add(env.image_selection)
            gym.logger.warn(
                "this environment runs in a worker process and iterates over the whole evaluation split. If several "
                "workers evaluate together, some images are counted several times and others never. Use "
                "n_eval_episodes=cls_env.evaluation_episodes(envs)"
            )

    def check_step(self, env: EvaluationEnv) -> None:
        """Refuse the first step of an environment where another one has just made its own first step.

        Raises:
            ValueError: Another environment, over the same images, has finished one episode.
        """
        if env.num_episodes > 0:
            return
        others = [other for other in self._members if other is not env and other.num_episodes == 1]
        if any(other.image_selection == env.image_selection for other in others):
            raise ValueError(
                "several environments evaluate the same split, and each iterates over all images: evaluate_policy "
                "would count some images several times and miss others. Call evaluate_policy with "
                "n_eval_episodes=cls_env.evaluation_episodes(envs) to split the images among the environments. If "
                "each environment is meant to iterate over all images, call env.unwrapped.share_images(0, 1) on each"
            )

    def forget(self, env: EvaluationEnv) -> None:
        """Stop watching an environment, because it has a share now or is closed."""
        self._members.discard(env)


WATCH = EvaluationWatch()
