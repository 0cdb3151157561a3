"""Evaluation on one split by several environments, such that each image is counted once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import gymnasium as gym

from cls_env.envs.base import StreamEnv


def evaluation_episodes(envs: Any) -> int:
    """Split the evaluation images among the environments, and return how many episodes show each image once.

        accuracy, _ = evaluate_policy(model, envs, n_eval_episodes=evaluation_episodes(envs))

    Without it, each of several single environments iterates over all images. This function gives each of them its
    share, so that the episodes that `evaluate_policy` counts contain each image once. It supports stable-baselines3's
    `DummyVecEnv` and `SubprocVecEnv` and for Gymnasium's `SyncVectorEnv` and `AsyncVectorEnv`. The native vector
    environment needs no shares. Each environment keeps its share; `env.unwrapped.share_images(0, 1)` shows all images
    again. If options set by stable-baselines3's `set_options` are pending, this function resets the environments to
    apply them.

    Args:
        envs: An environment of this package over a validation or test split, wrapped or not, several of them in one of
            the classes above, or the native vector environment, also as `agents.GymnasiumVecEnv`.

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
    options_pending = any(base._options)
    native = getattr(base, "venv", None)
    if isinstance(native, gym.vector.VectorEnv):
        if options_pending:
            envs.reset()
        return evaluation_episodes(native)
    if not envs.has_attr("share_images"):
        raise _not_ours(envs)
    for index in range(envs.num_envs):
        envs.env_method("share_images", index, envs.num_envs, indices=[index])
    if options_pending:
        envs.reset()
    _check_alike(envs.get_attr("image_selection"))
    return int(envs.get_attr("epoch_length")[0])


def _share_in_gymnasium(envs: gym.vector.VectorEnv[Any, Any, Any]) -> int:
    base: Any = envs.unwrapped
    if not all(base.call("has_wrapper_attr", "image_share")):
        raise _not_ours(envs)
    _check_alike(base.get_attr("image_selection"))
    base.set_attr("image_share", [(index, base.num_envs) for index in range(base.num_envs)])
    return int(base.get_attr("epoch_length")[0])


def _not_ours(envs: Any) -> ValueError:
    return ValueError(f"evaluation_episodes needs environments of cls_env, not {envs}")


def _check_alike(selections: Sequence[tuple[object, ...]]) -> None:
    """Raise ValueError unless all environments show the images of the same tasks of one stream."""
    for name, values in zip(("streams", "splits", "tasks"), zip(*selections, strict=True), strict=True):
        if len(set(values)) > 1:
            shown = ", ".join(str(value)[:12] for value in dict.fromkeys(values))
            raise ValueError(
                f"the environments of one evaluation must show the same images, but their {name} differ: {shown}"
            )


class EvaluationWatch:
    """Detects several single environments that each iterate over one validation or test split at the same time.

    An evaluation that counts the episodes of all environments then counts some images several times and misses others.
    Environments in different worker processes cannot see each other, so each one warns.
    """

    def __init__(self) -> None:
        self._episodes_at_reset: WeakKeyDictionary[Any, WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
        self._warned: set[tuple[object, ...]] = set()

    def note_reset(self, env: StreamEnv) -> None:
        """Record how many episodes each environment has finished when this one is reset."""
        self._episodes_at_reset.setdefault(env, WeakKeyDictionary())
        others = WeakKeyDictionary({other: other.num_episodes for other in self._episodes_at_reset})
        self._episodes_at_reset[env] = others
        if multiprocessing.parent_process() is not None and env.image_selection not in self._warned:
            self._warned.add(env.image_selection)
            gym.logger.warn(
                "this environment runs in a worker process and iterates over the whole evaluation split. If several "
                "workers evaluate together, some images are counted several times and others never. Use "
                "n_eval_episodes=cls_env.evaluation_episodes(envs)"
            )

    def check_step(self, env: StreamEnv) -> None:
        """Raise ValueError if another environment evaluates at the same time.

        Raises:
            ValueError: Another environment on the same images has stepped exactly once since this one was reset.
        """
        before: Mapping[Any, int] = self._episodes_at_reset.get(env, {})
        for other in self._episodes_at_reset:
            if (
                other.num_episodes - before.get(other, 0) == 1
                and other is not env
                and other.image_selection == env.image_selection
                and other.images_sha256 == env.images_sha256
            ):
                raise ValueError(
                    "several environments evaluate the same split, and each iterates over all images: evaluate_policy "
                    "would count some images several times and miss others. Call evaluate_policy with "
                    "n_eval_episodes=cls_env.evaluation_episodes(envs) to split the images among the environments. If "
                    "each environment is meant to iterate over all images, call env.unwrapped.share_images(0, 1) on "
                    "each"
                )

    def forget(self, env: StreamEnv) -> None:
        """Stop watching an environment that has a share or is closed."""
        self._episodes_at_reset.pop(env, None)


WATCH = EvaluationWatch()


class WatchedEnv(StreamEnv):
    """Mixin of a single environment, whose evaluation is checked by `EvaluationWatch` unless it has a share."""

    _image_share: tuple[int, int] | None = None

    def share_images(self, index: int, count: int) -> int:
        """Show only one of `count` shares of the images; see `StreamEnv.share_images`."""
        total = super().share_images(index, count)
        self._image_share = self._source.share
        WATCH.forget(self)
        return total

    @property
    def image_share(self) -> tuple[int, int] | None:
        """`(index, count)` of `share_images`, or None. Gymnasium's vector environments set it."""
        return self._image_share

    @image_share.setter
    def image_share(self, share: tuple[int, int]) -> None:
        self.share_images(*share)

    def _watch_step(self) -> None:
        if self._source.evaluates and self._image_share is None:
            WATCH.check_step(self)

    def _watch_reset(self, unfinished: bool) -> None:
        """Check a reset.

        Args:
            unfinished: Whether the current image was not classified, so that a new evaluation starts.
        """
        if not self._source.evaluates:
            return
        if self._image_share is None:
            WATCH.note_reset(self)
        if unfinished:
            self._source.warn_of_early_end(spare=0 if self._image_share is None else 1)
            if self._image_share is not None:
                self._source.begin_epoch()
