"""Results of a step that are copied from a device when they are first read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray
from torch import Tensor

from agents.envs.vec_env import episode_infos


class DeferredArray(NDArrayOperatorsMixin):
    """An array that is made when it is first read; it can be used where NumPy takes arrays.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], NDArray[Any]]) -> None:
        self._make = make

    @cached_property
    def _array(self) -> NDArray[Any]:
        return self._make()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._array, dtype=dtype, copy=True) if copy else np.asarray(self._array, dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        read = [np.asarray(each) if isinstance(each, DeferredArray) else each for each in inputs]
        return getattr(ufunc, method)(*read, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_make":
            raise AttributeError(name)
        return getattr(self._array, name)

    def __getitem__(self, index: Any) -> Any:
        return self._array[index]

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._array)

    def __repr__(self) -> str:
        return repr(self._array)


class DeferredInfos(Sequence[dict[str, Any]]):
    """The infos of a step in which all episodes ended, as SB3 has them; made when they are first read.

    Args:
        rewards: float32 of shape (N,), on a device.
        success: Whether each choice was right, bool of shape (N,), on the device; None if it is not told.
        elapsed: Seconds, for Monitor's entry `episode`.
        final_observations: Returns the images of the finished episodes.
    """

    def __init__(
        self,
        rewards: Tensor,
        success: Tensor | None,
        elapsed: float,
        final_observations: Callable[[], NDArray[np.uint8]],
    ) -> None:
        self.rewards, self.success = rewards, success
        self._elapsed, self._final_observations = elapsed, final_observations

    def episodes(self, rewards: NDArray[Any], success: NDArray[np.bool_] | None) -> list[dict[str, Any]]:
        """The infos without the final observations, from values that were read before."""
        return self._made(rewards, success, None)

    @cached_property
    def _infos(self) -> list[dict[str, Any]]:
        success = None if self.success is None else self.success.cpu().numpy()
        return self._made(self.rewards.cpu().numpy(), success, self._final_observations())

    def _made(self, rewards: Any, success: Any, final_observations: Any) -> list[dict[str, Any]]:
        every = np.ones(len(rewards), dtype=np.bool_)
        return episode_infos(rewards, every, ~every, self._elapsed, final_observations, success)

    def __len__(self) -> int:
        return len(self.rewards)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._infos[index]
