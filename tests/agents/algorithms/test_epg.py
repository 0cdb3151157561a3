from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from peft import PeftModel
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from agents import EPG, GymnasiumVecEnv
from agents.evaluation import evaluate_tasks
from agents.networks.backbone import create_backbone
from agents.objectives import cross_entropy_loss
from agents.peft_modules.lora import split_qkv
from cls_env import TaskStream

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.fixture
def make_agent(make_vec: MakeVec) -> Callable[..., EPG]:
    def make(**arguments: object) -> EPG:
        defaults = {"env": make_vec(8), "batch_size": 8, "seed": 0, "learning_rate": 2e-3, "device": "cpu"}
        return EPG("ViTPolicy", **(defaults | arguments))

    return make


def learn_tasks(agent: EPG, tasks: range, images: int = 80, **arguments: object) -> EPG:
    for task in tasks:
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(images, reset_num_timesteps=task == 0, **arguments)
    return agent


class Watcher(BaseCallback):
    """Calls a function after every environment step."""

    def __init__(self, watch: Callable[[EPG], object]) -> None:
        super().__init__()
        self.watch = watch

    def _on_step(self) -> bool:
        return self.watch(self.model) is not False


@pytest.mark.parametrize("objective", ["ce", "epg", "aepg"])
def test_it_learns_a_stream(make_agent: Callable[..., EPG], make_vec: MakeVec, objective: str) -> None:
    agent = learn_tasks(make_agent(objective=objective), range(3), 240)
    accuracies = [test.accuracy for test in evaluate_tasks(agent.policy, make_vec(10, split="test"), range(3))]
    assert np.mean(accuracies) > 0.6  # chance is 1 / 6


def test_one_environment_step_is_one_image(make_agent: Callable[..., EPG]) -> None:
    seen: list[int] = []
    agent = make_agent().learn(20, callback=Watcher(lambda model: seen.append(model.num_timesteps)))
    assert seen == [8, 16, 24] and agent.num_timesteps == 24


def test_frozen_parameters_are_bit_identical_after_a_run(make_agent: Callable[..., EPG]) -> None:
    agent = make_agent()
    before = {name: tensor.clone() for name, tensor in agent.policy.network.backbone.named_parameters()}
    learn_tasks(agent, range(2))
    for name, tensor in agent.policy.network.backbone.named_parameters():
        assert torch.equal(tensor, before[name]) == ("lora_" not in name), name


def test_peft_is_frozen_for_the_first_part_of_later_tasks(make_agent: Callable[..., EPG]) -> None:
    agent = make_agent()
    changed: list[bool] = []

    def watch(model: EPG) -> None:
        current = torch.cat([tensor.detach().flatten() for tensor in model.policy.network.peft_parameters])
        changed.append(not torch.equal(current, watch.last))
        watch.last = current

    watch.last = torch.cat([tensor.detach().flatten() for tensor in agent.policy.network.peft_parameters])
    learn_tasks(agent, range(2), callback=Watcher(watch))  # the callback runs before the step's update
    assert changed == [False] + [True] * 9 + [True] + [False] * 6 + [True] * 3


def test_old_rows_of_the_head_stay_exactly_still(make_agent: Callable[..., EPG]) -> None:
    agent = learn_tasks(make_agent(), range(1))
    old = agent.policy.network.head.weight.detach().clone()
    learn_tasks(agent, range(1, 2))
    assert torch.equal(agent.policy.network.head.weight[:2], old)


def test_same_seed_same_agent(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    first, second, other = (learn_tasks(make_agent(env=make_vec(8), seed=seed), range(2)) for seed in (0, 0, 1))
    for name, tensor in first.policy.state_dict().items():
        assert torch.equal(tensor, second.policy.state_dict()[name]), name
    assert not torch.equal(first.policy.network.head.weight, other.policy.network.head.weight)


def test_cached_features_change_nothing(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    calls = []

    def count(agent: EPG) -> EPG:
        agent.policy.network.backbone.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
        return agent

    agents, images = [], []
    for cached in (False, True):
        calls.clear()
        agents.append(learn_tasks(count(make_agent(env=make_vec(8), cache_features=cached)), range(2)))
        images.append(sum(calls))
    torch.testing.assert_close(
        agents[0].policy.network.head.weight, agents[1].policy.network.head.weight, rtol=1e-4, atol=1e-6
    )
    assert images == [160, 160 - (48 - 24)]  # in the frozen phase 48 images, of which 24 are different


def test_environments_of_every_kind(stream: TaskStream, make_vec: MakeVec) -> None:
    def single() -> gym.Env:
        return gym.make("cls_env/ClassIncremental-v0", dataset=stream)

    environments = {
        "single": single(),
        "native": make_vec(4),
        "sync": SyncVectorEnv([single] * 4, autoreset_mode=AutoresetMode.SAME_STEP),
        "dummy": DummyVecEnv([single] * 2),
        "adapter": GymnasiumVecEnv(make_vec(4)),
        "monitor": VecMonitor(DummyVecEnv([single] * 2)),
    }
    for name, env in environments.items():
        agent = EPG("ViTPolicy", env, batch_size=4, seed=0, device="cpu").learn(8)
        assert agent.num_timesteps == 8, name
        assert agent.policy.network.head.actions.tolist() == [0, 1], name


def test_subprocess_environments() -> None:
    env = SubprocVecEnv([_glyph_env], start_method="spawn")
    agent = EPG("ViTPolicy", env, batch_size=4, seed=0, device="cpu").learn(8)
    assert agent.policy.network.head.actions.tolist() == [0, 1]
    env.close()


def _glyph_env() -> gym.Env:
    import cls_env  # noqa: F401

    return gym.make("cls_env/SplitGlyphs-v0", num_tasks=3, dataset_options={"num_classes": 6, "train_per_class": 4})


def test_environment_id_makes_a_batch_at_once() -> None:
    agent = EPG("ViTPolicy", "cls_env/SplitGlyphs-v0", batch_size=16, device="cpu").learn(16)
    assert agent.n_envs == 16 and len(agent.policy.network.head.actions) == 10


def test_single_and_vector_envs_give_the_same_gradient_step(stream: TaskStream, make_vec: MakeVec) -> None:
    single = gym.make("cls_env/ClassIncremental-v0", dataset=stream)
    agents = [EPG("ViTPolicy", env, batch_size=8, seed=0, device="cpu") for env in (single, make_vec(8))]
    for agent in agents:
        agent.get_env().seed(5)
        agent.learn(8)
    torch.testing.assert_close(
        agents[0].policy.network.head.weight, agents[1].policy.network.head.weight, rtol=1e-4, atol=1e-6
    )


def test_predict_and_evaluate_policy_are_sb3s(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    agent = learn_tasks(make_agent(), range(1), 240)
    images, info = make_vec(10, split="test").reset()
    actions, state = agent.predict(images, deterministic=True)
    assert actions.shape == (10,) and state is None
    assert agent.predict(images[0], deterministic=True)[0] == actions[0]
    test_env = GymnasiumVecEnv(make_vec(10, split="test"))
    mean, _ = evaluate_policy(agent, test_env, n_eval_episodes=10)
    assert mean == pytest.approx((actions == info["label"]).mean())


def test_untrained_agent_chooses_among_all(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    images, _ = make_vec(60).reset()
    actions, _ = make_agent().predict(images)
    assert len(set(actions.tolist())) > 3


def test_logger_groups_are_sb3s(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    agent = make_agent()
    agent.set_logger(configure(str(tmp_path), ["csv"]))
    learn_tasks(agent, range(1), log_interval=2)
    lines = (tmp_path / "progress.csv").read_text().splitlines()
    columns = {"train/loss", "train/entropy", "train/learning_rate", "rollout/success_rate", "time/total_timesteps"}
    assert columns <= set(lines[0].split(",")) and len(lines) == 1 + 5


def test_every_task_starts_near_uniform(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    agent = make_agent()
    first: list[float] = []
    for task in range(3):
        agent.set_logger(configure(str(tmp_path / str(task)), ["csv"]))
        learn_tasks(agent, range(task, task + 1), log_interval=1)
        header, row = ((tmp_path / str(task) / "progress.csv").read_text().splitlines())[:2]
        first.append(float(dict(zip(header.split(","), row.split(","), strict=True))["train/entropy"]))
    assert first == pytest.approx([np.log(2)] * 3, abs=0.02)


def test_progress_bar_and_callback_that_stops(make_agent: Callable[..., EPG]) -> None:
    agent = make_agent().learn(160, callback=Watcher(lambda model: model.num_timesteps < 40), progress_bar=True)
    assert agent.num_timesteps == 40


def test_learning_rate_may_be_a_schedule(make_agent: Callable[..., EPG]) -> None:
    rates: list[float] = []
    agent = make_agent(learning_rate=lambda remaining: 1e-3 * remaining)
    agent.learn(32, callback=Watcher(lambda model: rates.append(model.policy.optimizer.param_groups[0]["lr"])))
    assert rates == pytest.approx([1e-3, 0.75e-3, 0.5e-3, 0.25e-3])


def test_objective_may_be_a_function(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    progress: list[float] = []

    def mine(logits: torch.Tensor, rewards: torch.Tensor, done: float) -> torch.Tensor:
        progress.append(done)
        return cross_entropy_loss(logits, rewards)

    own = make_agent(env=make_vec(8), objective=mine).learn(32)
    named = make_agent(env=make_vec(8), objective="ce").learn(32)
    assert torch.equal(own.policy.network.head.weight, named.policy.network.head.weight)
    assert progress == [0.0, 0.25, 0.5, 0.75]


def test_bfloat16_learns(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    agent = learn_tasks(make_agent(precision="bfloat16"), range(1), 240)
    assert evaluate_tasks(agent.policy, make_vec(10, split="test"), [0])[0].accuracy > 0.7
    assert agent.policy.network.head.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "aegp"}, "unknown objective 'aegp'; did you mean 'aepg'"),
        ({"batch_size": 12}, "batch_size 12 is not a multiple of the 8 environments"),
        ({"batch_size": 0}, "batch_size"),
        ({"freeze_fraction": 1.5}, "freeze_fraction"),
        ({"precision": "float16"}, "unknown precision"),
    ],
)
def test_bad_arguments_are_named(make_agent: Callable[..., EPG], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_agent(**arguments)


def test_unknown_policy_and_no_images_are_named(make_vec: MakeVec, make_agent: Callable[..., EPG]) -> None:
    with pytest.raises(ValueError, match="unknown policy 'VitPolicy'; did you mean 'ViTPolicy'"):
        EPG("VitPolicy", make_vec(8), batch_size=8)
    with pytest.raises(ValueError, match="total_timesteps"):
        make_agent().learn(0)


def test_bandit_feedback_is_refused_with_the_reason(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match=r"feedback='bandit'.*PPO"):
        make_agent(env=make_vec(8, feedback="bandit")).learn(8)


def test_reset_in_the_next_step_is_refused(stream: TaskStream) -> None:
    env = SyncVectorEnv([lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream)] * 2)
    with pytest.raises(ValueError, match="SAME_STEP"):
        EPG("ViTPolicy", env, batch_size=2)


def test_saved_agent_predicts_the_same(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    agent = learn_tasks(make_agent(), range(2))
    agent.save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    images = torch.from_numpy(make_vec(20, split="test").reset()[0])
    with torch.no_grad():
        assert torch.equal(loaded.policy(images), agent.policy(images))
    assert loaded.num_timesteps == 160 and loaded.objective == "aepg"


def test_loaded_agent_goes_on_as_if_never_saved(
    make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path
) -> None:
    agent = learn_tasks(make_agent(), range(1))
    agent.save(tmp_path / "agent.zip")
    loaded = EPG.load(tmp_path / "agent.zip", make_vec(8), device="cpu")
    for model in (agent, loaded):
        learn_tasks(model, range(1, 3))
    for name, tensor in agent.policy.state_dict().items():
        assert torch.equal(tensor, loaded.policy.state_dict()[name]), name


def test_loaded_agent_goes_on_within_a_task(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    learn_tasks(make_agent(), range(1)).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", make_vec(8), device="cpu")
    before = loaded.policy.network.peft_parameters[0].detach().clone()
    learn_tasks(loaded, range(1), 8)
    assert loaded.policy.network.tasks_begun == 1
    assert not torch.equal(loaded.policy.network.peft_parameters[0], before)


def test_checkpoint_holds_no_code_and_loads_with_peft(
    make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path
) -> None:
    agent = learn_tasks(make_agent(), range(1))
    agent.save(tmp_path / "agent")
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        names = sorted(archive.namelist())
        archive.extractall(tmp_path / "open")
    assert names == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "head.safetensors",
        "model.json",
    ]
    for name in names:
        with pytest.raises(Exception):  # noqa: B017  # whatever pickle says of bytes that are no pickle
            pickle.loads((tmp_path / "open" / name).read_bytes())
    backbone = create_backbone("vit_micro_patch8_32", True, (32, 32), seed=0)
    split_qkv(backbone, range(5))
    elsewhere = PeftModel.from_pretrained(backbone, str(tmp_path / "open" / "adapter")).eval()
    images = torch.from_numpy(make_vec(4).reset()[0])
    with torch.no_grad():
        torch.testing.assert_close(elsewhere(agent.policy.network.preprocessing(images)), agent.policy.features(images))


def test_checkpoint_callback_of_sb3(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent().learn(40, callback=CheckpointCallback(2, str(tmp_path)))
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["rl_model_16_steps.zip", "rl_model_32_steps.zip"]
    assert EPG.load(tmp_path / files[1], device="cpu").num_timesteps == 32


def test_agent_without_module_is_saved_too(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    agent = learn_tasks(make_agent(policy_kwargs={"peft": "none"}), range(2))
    agent.save(tmp_path / "agent")
    images = make_vec(20, split="test").reset()[0]
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    assert np.array_equal(loaded.predict(images, deterministic=True)[0], agent.predict(images, deterministic=True)[0])


def test_functions_must_be_passed_to_load_again(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent(objective=cross_entropy_loss).learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"function as objective: pass it again"):
        EPG.load(tmp_path / "agent")
    assert EPG.load(tmp_path / "agent", objective=cross_entropy_loss, device="cpu").objective is cross_entropy_loss


def rewritten(source: Path, target: Path, changes: dict[str, bytes | None]) -> Path:
    with zipfile.ZipFile(source) as reader, zipfile.ZipFile(target, "w") as writer:
        for name in reader.namelist():
            content = changes.get(name, reader.read(name))
            if content is not None:
                writer.writestr(name, content)
    return target


def test_damaged_checkpoints_are_refused(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    make_agent().learn(8).save(tmp_path / "agent")
    whole = tmp_path / "agent.zip"
    with zipfile.ZipFile(whole) as archive:
        description = archive.read("model.json")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        EPG.load(tmp_path / "other")
    (tmp_path / "half.zip").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ValueError, match="damaged"):
        EPG.load(tmp_path / "half.zip")
    with pytest.raises(ValueError, match="holds no head"):
        EPG.load(rewritten(whole, tmp_path / "headless.zip", {"head.safetensors": None}), device="cpu")
    with pytest.raises(ValueError, match="lacks"):
        EPG.load(rewritten(whole, tmp_path / "bare.zip", _one_tensor_less(whole)), device="cpu")
    other = description.replace(b'"backbone_sha256": "', b'"backbone_sha256": "0')
    with pytest.raises(ValueError, match="other weights of vit_micro_patch8_32"):
        EPG.load(rewritten(whole, tmp_path / "other.zip", {"model.json": other}), device="cpu")


def _one_tensor_less(file: Path) -> dict[str, bytes]:
    from safetensors.torch import load, save

    name = "adapter/adapter_model.safetensors"
    with zipfile.ZipFile(file) as archive:
        tensors = load(archive.read(name))
    tensors.pop(sorted(tensors)[0])
    return {name: save(tensors)}


def test_save_refuses_what_it_would_ignore(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exclude and include are not supported"):
        make_agent().save(tmp_path / "agent", exclude=["policy"])
    assert list(tmp_path.iterdir()) == []


def test_env_of_another_shape_is_refused_on_load(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent().learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match="the environment has 50 actions and the agent 6"):
        EPG.load(tmp_path / "agent", gym.make_vec("cls_env/SplitGlyphs-v0", num_envs=8), device="cpu")


def test_rewards_outside_the_task_do_not_count(make_vec: MakeVec) -> None:
    """Half a reward for every other class: those outside the current task have no probability and no say."""
    matrix = np.full((6, 6), 0.5) + 0.5 * np.eye(6)
    inside = np.kron(np.eye(3), np.ones((2, 2)))  # tasks of two classes
    agents = [
        EPG("ViTPolicy", make_vec(8, reward_matrix=rewards), objective="ce", batch_size=8, seed=0, device="cpu").learn(
            40
        )
        for rewards in (matrix, matrix * inside)
    ]
    assert torch.equal(agents[0].policy.network.head.weight, agents[1].policy.network.head.weight)
    assert agents[0].policy.network.head.weight.abs().max() > 1e-3


def test_loaded_agent_takes_an_env_later(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    make_agent().learn(8).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    loaded.set_env(make_vec(4))
    assert loaded.learn(16).n_envs == 4
    with pytest.raises(ValueError, match="batch_size 8 is not a multiple of the 3"):
        loaded.set_env(make_vec(3))
    with pytest.raises(ValueError, match="needs an environment"):
        EPG("ViTPolicy", None)


def test_several_tasks_at_once_are_one(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    agent = make_agent(env=make_vec(8, task=[0, 1]))
    for _ in range(4):
        agent.learn(8, reset_num_timesteps=False)
    assert agent.policy.network.tasks_begun == 1


def test_optimizer_is_saved_by_name(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    kwargs = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"momentum": 0.9}}
    make_agent(policy_kwargs=kwargs).learn(8).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    assert isinstance(loaded.policy.optimizer, torch.optim.SGD)
    assert loaded.policy.optimizer.defaults["momentum"] == 0.9
    replaced = EPG.load(tmp_path / "agent", device="cpu", policy_kwargs={"optimizer_kwargs": {}})
    assert replaced.policy.optimizer.defaults["momentum"] == 0


class OwnOptimizer(torch.optim.SGD):
    pass


def test_optimizer_of_ones_own_must_be_passed_again(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent(policy_kwargs={"optimizer_class": OwnOptimizer}).learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match="optimizer of its own"):
        EPG.load(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu", policy_kwargs={"optimizer_class": OwnOptimizer})
    assert isinstance(loaded.policy.optimizer, OwnOptimizer)


def test_id_may_name_its_module() -> None:
    assert EPG("ViTPolicy", "cls_env:cls_env/SplitGlyphs-v0", batch_size=4, device="cpu").n_envs == 4


def test_callbacks_find_sb3s_locals(make_agent: Callable[..., EPG]) -> None:
    class Reader(BaseCallback):
        def _on_step(self) -> bool:
            assert {"rewards", "dones", "infos", "actions"} <= set(self.locals)
            return True

    make_agent().learn(8, callback=Reader())


def test_lists_of_infos_are_refused_with_the_reason(make_vec: MakeVec) -> None:
    from gymnasium.wrappers.vector import DictInfoToList

    with pytest.raises(ValueError, match="dict of arrays"):
        EPG("ViTPolicy", DictInfoToList(make_vec(4)), batch_size=4, device="cpu").learn(4)


@pytest.mark.parametrize(("anneal", "expected"), [("task", [0, 0.25, 0.5, 0.75]), ("unfrozen", [0, 0, 0, 0.5])])
def test_the_clock_of_an_annealed_objective(anneal: str, expected: list[float], make_vec: MakeVec) -> None:
    """A later task's module is frozen for the first half; the first task's is not."""
    seen: list[float] = []

    def objective(logits: torch.Tensor, action_rewards: torch.Tensor, progress: float) -> torch.Tensor:
        seen.append(progress)
        return -(logits.softmax(dim=1) * action_rewards).sum(dim=1)

    kwargs = {"blocks": (0,)}
    agent = EPG(
        "ViTPolicy", make_vec(8), objective, batch_size=8, freeze_fraction=0.5, anneal=anneal, policy_kwargs=kwargs
    )
    agent.learn(32)
    assert seen == [0, 0.25, 0.5, 0.75]
    agent.get_env().set_options({"task": 1})
    agent.learn(32, reset_num_timesteps=False)
    assert seen[4:] == expected


def test_an_unknown_clock_is_refused(make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match="unknown anneal 'tasks'; did you mean 'task'"):
        EPG("ViTPolicy", make_vec(8), anneal="tasks", batch_size=8)
