"""A Gymnasium vector environment as stable-baselines3's VecEnv."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from agents.envs.episode_protocol import EpisodeEnv, episode_env
from cls_env.arguments import as_plain

INFO_LIST = "infos must be a dict of arrays, as Gymnasium's vector environments give them: remove DictInfoToList"


class GymnasiumVecEnv(VecEnv):
    """A Gymnasium `VectorEnv` with SAME_STEP autoreset as a `VecEnv` of stable-baselines3.

    The infos of `step` hold only what SB3 reads of a finished episode: Monitor's `episode` entry, `is_success` if the
    environment gives it, `terminal_observation` and `TimeLimit.truncated`. Everything else is in `batch_info`, the
    environment's own dict of arrays: entries for the current observations, and under `final_info` those of the episodes
    just finished; an agent that keeps images on a device leaves `final_info` and `final_obs` out. `reset_infos`
    converts the former to dicts. Episodes are reported as those of one-step environments: length 1, return = reward.

    Args:
        venv: A vector environment with `AutoresetMode.SAME_STEP`.

    Raises:
        ValueError: The environment has another autoreset mode, such as Gymnasium's default NEXT_STEP.
    """

    def __init__(self, venv: VectorEnv[Any, Any, Any]) -> None:
        mode = venv.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                f"the vector env resets with {mode}; stable-baselines3 needs AutoresetMode.SAME_STEP, as in "
                "SyncVectorEnv(env_fns, autoreset_mode=AutoresetMode.SAME_STEP) or gym.make_vec of a cls_env id"
            )
        self.venv = venv
        self.batch_info: dict[str, Any] = {}
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)
        self.metadata = venv.metadata
        self._actions: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._started = time.time()

    def reset(self) -> VecEnvObs:
        """Reset with the pending seeds and options.

        Returns:
            Observations of shape (N, ...).
        """
        seeds: Any = None if self._seeds[0] is None else list(self._seeds)
        observations, info = self.venv.reset(seed=seeds, options=self._common_options() or None)
        if not isinstance(info, dict):
            raise ValueError(INFO_LIST)
        self.batch_info = info
        self._reset_seeds()
        self._reset_options()
        return observations

    @property
    def reset_infos(self) -> list[dict[str, Any]]:
        """Infos of the current observations, a dict for each; made anew at each access."""
        return _rows(self.batch_info, self.num_envs)

    @reset_infos.setter
    def reset_infos(self, infos: list[dict[str, Any]]) -> None:
        """Ignore the empty infos of SB3's constructor; `batch_info` holds them."""

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Set the options of the next reset, the same for all environments.

        Raises:
            ValueError: They are not a dict, or a list with the same dict for each environment.
        """
        previous = self._options
        super().set_options(options)
        try:
            self._common_options()
        except ValueError:
            self._options = previous
            raise

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Store the actions for `step_wait`.

        Raises:
            ValueError: Options or a seed are pending.
        """
        if message := pending_message(self):
            raise ValueError(message)
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments."""
        observations, rewards, terminated, truncated, self.batch_info = self.venv.step(self._actions)
        dones = terminated | truncated
        infos = episode_infos(
            rewards,
            dones,
            truncated & ~terminated,
            self.elapsed,
            self.batch_info.get("final_obs"),
            self.batch_info.get("final_info", {}).get("is_success"),
        )
        return observations, rewards.astype(np.float32), dones, infos

    def skip(self, steps: int) -> VecEnvObs:
        """Show what comes after a number of steps, without taking them: of the native vector environment alone.

        Returns:
            Observations of shape (N, ...).
        """
        native: Any = self.venv
        observations: VecEnvObs
        observations, self.batch_info = native.skip(steps)
        return observations

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made, as SB3's Monitor reports them."""
        return round(time.time() - self._started, 6)

    def close(self) -> None:
        """Close the environment."""
        self.venv.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """A frame of each sub-environment; None without a render mode."""
        frames: Any = self.venv.render()
        return list(frames or [None] * self.num_envs)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the vector environment or of the one inside its wrappers, repeated for each index.

        If neither has it, and the vector environment is made of single ones (`SyncVectorEnv`, `AsyncVectorEnv`), those
        of the single environments.

        Raises:
            AttributeError: None of them has it.
        """
        chosen = list(self._get_indices(indices))
        for env in (self.venv, self.venv.unwrapped):
            if hasattr(env, attr_name):
                return [getattr(env, attr_name)] * len(chosen)
        call = getattr(self.venv.unwrapped, "call", None)
        if call is None or not all(call("has_wrapper_attr", attr_name)):
            raise AttributeError(f"{self.venv} has no attribute {attr_name!r}")
        values = call("get_wrapper_attr", attr_name)
        return [values[index] for index in chosen]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment, or of the one inside its wrappers if only that has it."""
        self._refuse_part(indices)
        inside = not hasattr(self.venv, attr_name) and hasattr(self.venv.unwrapped, attr_name)
        setattr(self.venv.unwrapped if inside else self.venv, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment, and return its result once for each sub-environment.

        `action_masks`, which MaskablePPO calls, returns the row of each sub-environment.
        """
        self._refuse_part(indices)
        if method_name == "action_masks":
            return list(np.asarray(self.batch_info["action_mask"], dtype=np.bool_))
        return [getattr(self.venv, method_name)(*method_args, **method_kwargs)] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """True for SB3's Monitor, whose `episode` entry this class adds; False for all other wrappers."""
        return [wrapper_class.__name__ == "Monitor"] * len(list(self._get_indices(indices)))

    def _common_options(self) -> dict[str, Any]:
        """The options of the next reset, one dict for all sub-environments."""
        options: Any = as_plain(self._options)
        if not all(isinstance(each, dict) for each in options) or len(options) != self.num_envs:
            raise ValueError(f"options are a dict, or a list of {self.num_envs} dicts, not {options!r}")
        if any(each != options[0] for each in options):
            raise ValueError(
                "all environments of a native vector environment must have the same options; for different options, "
                "use stable-baselines3's DummyVecEnv"
            )
        return self._options[0]

    def _refuse_part(self, indices: VecEnvIndices) -> None:
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError(
                "a native vector environment has no single environments: leave indices out, or name all of them"
            )


def episode_infos(
    rewards: NDArray[Any],
    dones: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    elapsed: float,
    final_observations: Sequence[Any] | None,
    success: NDArray[np.bool_] | None,
) -> list[dict[str, Any]]:
    """What SB3 reads of the finished episodes of a step, a dict for each environment; empty where none is finished."""
    infos: list[dict[str, Any]] = [{} for _ in range(len(dones))]
    paid, cut = rewards.tolist(), truncated.tolist()
    for index in np.flatnonzero(dones).tolist():
        info = infos[index]
        info["episode"] = {"r": paid[index], "l": 1, "t": elapsed}
        info["TimeLimit.truncated"] = cut[index]
        if final_observations is not None:
            info["terminal_observation"] = final_observations[index]
        if success is not None:
            info["is_success"] = bool(success[index])
    return infos


def pending_settings(env: VecEnv) -> str:
    """The pending options and seed of a VecEnv, in words; empty if there are none."""
    base = env.unwrapped
    options = next((each for each in base._options if each), None)
    seed = next((each for each in base._seeds if each is not None), None)
    found = [f"the options {options}"] * (options is not None) + [f"the seed {seed}"] * (seed is not None)
    return " and ".join(found)


def pending_message(env: VecEnv) -> str:
    """Why an environment with pending settings can't be stepped; empty if there are none."""
    pending = pending_settings(env)
    return pending and (
        f"the environment was given {pending} and not reset since, so they have no effect yet: call reset(), "
        "learn with reset_num_timesteps=True, or pass callback=agents.ApplyOptions() to learn"
    )


def as_vec_env(env: gym.Env[Any, Any] | VectorEnv[Any, Any, Any] | VecEnv) -> VecEnv:
    """Any kind of environment as a VecEnv; a single one gets a Monitor, and images keep their layout.

    Raises:
        ValueError: It is no environment.
    """
    if isinstance(env, VecEnv):
        return env
    if isinstance(env, VectorEnv):
        return GymnasiumVecEnv(env)
    if not isinstance(env, gym.Env):
        raise ValueError(f"env must be an environment of Gymnasium or a VecEnv of stable-baselines3, not {env!r}")
    return DummyVecEnv([lambda: Monitor(env)])


def native_env(env: VecEnv) -> EpisodeEnv | None:
    """The native vector environment of cls_env in a VecEnv; None if another class may change its steps."""
    return episode_env(env.venv) if type(env) is GymnasiumVecEnv else None


def native_vector_env(name: str, num_envs: int) -> VectorEnv[Any, Any, Any] | None:
    """The vector environment of an id, also `"module:id"`; None if the id has no vector entry point."""
    module, _, plain = name.rpartition(":")
    if module:
        import_module(module)
    return gym.make_vec(plain, num_envs=num_envs) if gym.spec(plain).vector_entry_point is not None else None


def _rows(batch: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Gymnasium's dict of arrays as SB3's list of dicts, without the `_key` masks and the finished episodes."""
    columns = {
        key: _rows(value, count) if isinstance(value, dict) else value
        for key, value in batch.items()
        if not key.startswith(("_", "final_"))
    }
    return [{key: column[row] for key, column in columns.items()} for row in range(count)]
