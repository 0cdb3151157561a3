"""What an environment must offer so that its episodes can be brought to a device; the native one of `cls_env` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, SupportsFloat, runtime_checkable

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

HOOKS = ("reset", "step", "begin", "advance")


class Episodes(Protocol):
    """A batch of one-step episodes.

    Attributes:
        labels: int64 of shape (N,).
        tasks: Task of each image, int64 of shape (N,).
        rows: Row of each image in its split, int64 of shape (N,).
        action_rewards: Reward of each action, float32 of shape (N, A).
        padding: True for images that only fill the last batch of an epoch, bool of shape (N,).
        images: uint8 of shape (N, H, W, 3), read at the first access.
    """

    @property
    def labels(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def tasks(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def rows(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def action_rewards(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def padding(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def images(self) -> NDArray[np.uint8]: ...  # noqa: D102


class Source(Protocol):
    """Where episodes come from.

    Attributes:
        images: All images of the split, uint8 of shape (R, H, W, 3), perhaps in a file.
        tasks: The current tasks.
        rewards_of_labels: R[label, action], float32 of shape (K, A); None if the rewards of an image are drawn.
        regrets_of_labels: The regret of each action by label, float32 of shape (K, A).
        reveals_success: Whether `info` may report if a choice was right.
    """

    @property
    def images(self) -> Any: ...  # noqa: D102
    @property
    def tasks(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def rewards_of_labels(self) -> NDArray[np.float32] | None: ...  # noqa: D102
    @property
    def regrets_of_labels(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def reveals_success(self) -> bool: ...  # noqa: D102

    def rows_of(self, tasks: Sequence[int]) -> NDArray[np.int64]:
        """The rows of the images of some tasks, in ascending order."""

    def observation_info(self, episodes: Any) -> dict[str, Any]:
        """Entries of `info` for the images of episodes, as arrays of N rows."""

    def count(self, episodes: Any) -> None:
        """Count finished episodes."""

    def add_regret(self, regret: SupportsFloat) -> None:
        """Add to the total regret; a number on a device is read when the total is."""


@runtime_checkable
class EpisodeEnv(Protocol):
    """A vector environment that can go on without reading images, paying rewards and counting.

    Attributes:
        source: Where its episodes come from.
        episodes: The current ones.
    """

    @property
    def source(self) -> Source: ...  # noqa: D102
    @property
    def episodes(self) -> Episodes: ...  # noqa: D102

    def begin(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Episodes:
        """As `reset`, without reading the images: return the next episodes."""

    def advance(self) -> Episodes:
        """Leave the current episodes, and return the next ones."""


def episode_env(env: VectorEnv[Any, Any, Any]) -> EpisodeEnv | None:
    """The environment, if its episodes can be brought to a device; None if it is wrapped or of another kind.

    A subclass that changes `reset` or `step` is of another kind.
    """
    if env.unwrapped is not env or not all(hasattr(type(env), name) for name in (*HOOKS, "source", "episodes")):
        return None
    owners = {next(kind for kind in type(env).__mro__ if name in vars(kind)) for name in HOOKS}
    return env if len(owners) == 1 else None  # type: ignore[return-value]
