"""What holds of every method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import pytest
import torch

from agents import EPG
from agents.evaluation import evaluate_tasks
from agents.methods import METHODS, Method, check_method, make_method, register_method
from tests.agents.methods.conftest import learn
from tests.agents.policies import EMBEDDED
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
MakeAgent = Callable[..., EPG]
BY_GRADIENT = [name for name, method in METHODS.items() if method.learns_by_gradient]
ANY_MODULE = [name for name in BY_GRADIENT if METHODS[name].accepts_peft.any_name]
TWO_PASSES = {"coda-prompt", "der++", "dualprompt", "l2p", "replay"}
"""Methods whose step passes the backbone more than once, and takes as much longer."""
QUICK = ["sequential", "lae", "dualprompt", "sd-lora", "ranpac", "der++"]
"""One method of each kind: without state, averaged, prompts, a module for each task, without gradients, a buffer."""
VARIANTS = [
    "l2p:batchwise=true,head=cls",
    "dualprompt:projected=false,transfer=true",
    "coda-prompt:components=30,projected=false,orthogonality=0",
    "inflora:energy=activations,threshold=0.9",
    "sd-lora:restart=0.8",
    "ncm:metric=euclidean",
    "replay:local=false,size=7",
]


def images_of(make_vec: MakeVec) -> torch.Tensor:
    images, _ = make_vec(30, split="test").reset(options={"task": [0, 1, 2]})
    return torch.from_numpy(images)


def scores(agent: EPG, images: torch.Tensor) -> torch.Tensor:
    agent.policy.set_training_mode(False)
    with torch.no_grad():
        return agent.policy(images)


@dataclass(frozen=True)
class Trained:
    """Two agents of the same seed, read by many tests and changed by none."""

    whole: EPG
    """After three tasks."""
    part: EPG
    """After two tasks."""
    saved: Path
    """The file of the second."""


@pytest.fixture(scope="module")
def trained(make_agent: MakeAgent, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """`trained(method)`; each method is trained once."""
    known: dict[str, Trained] = {}

    def train(method: str) -> Trained:
        if method not in known:
            whole, part = (learn(make_agent(method), range(count), images=32) for count in (3, 2))
            saved = tmp_path_factory.mktemp("trained") / "agent.zip"
            part.save(saved)
            known[method] = Trained(whole, part, saved)
        return known[method]

    return train


@pytest.mark.parametrize("method", slow_but(QUICK, [*METHODS, *VARIANTS]))
def test_it_is_resumed_to_the_same_end(method: str, trained: Callable[[str], Trained], make_vec: MakeVec) -> None:
    """Two tasks, saved and loaded, and a third: bit for bit as three tasks in one go."""
    images, agents = images_of(make_vec), trained(method)
    loaded = EPG.load(agents.saved, make_vec(8), device="cpu")
    assert torch.equal(scores(loaded, images), scores(agents.part, images))
    assert loaded.policy.method.state_bytes == agents.part.policy.method.state_bytes
    assert torch.equal(scores(learn(loaded, range(2, 3), images=32), images), scores(agents.whole, images))


@pytest.mark.parametrize("method", slow_but(QUICK, [*METHODS, *VARIANTS]))
def test_inference_is_instance_wise(method: str, trained: Callable[[str], Trained], make_vec: MakeVec) -> None:
    """A test batch's order, size and company change no answer."""
    agent, images = trained(method).whole, images_of(make_vec)
    answers = scores(agent, images).argmax(dim=1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    assert torch.equal(scores(agent, images[order]).argmax(dim=1), answers[order])
    for size in (1, 7):
        parts = [scores(agent, part).argmax(dim=1) for part in images.split(size)]
        assert torch.equal(torch.cat(parts), answers)
    same = images[:1].expand(9, -1, -1, -1)  # a batch of one class, which would vote with one voice
    assert torch.equal(scores(agent, same).argmax(dim=1), answers[:1].expand(9))


@pytest.mark.parametrize("method", METHODS)
def test_no_prediction_is_an_unseen_class(method: str, make_agent: MakeAgent, make_vec: MakeVec) -> None:
    agent, images = learn(make_agent(method), range(2)), images_of(make_vec)
    seen = agent.policy.network.head.actions
    answers = scores(agent, images)
    unseen = torch.ones(6, dtype=torch.bool).index_fill(0, seen, False)
    assert len(seen) == 4 and answers[:, unseen].isneginf().all() and answers[:, ~unseen].isfinite().all()


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in TWO_PASSES else name
        for name in sorted(set(METHODS) - {"frozen"})
    ],
)
def test_it_learns(method: str, make_agent: MakeAgent, make_vec: MakeVec) -> None:
    agent = learn(make_agent(method, policy_kwargs=EMBEDDED), range(3), images=120)
    accuracies = [test.accuracy for test in evaluate_tasks(agent.policy, make_vec(10, split="test"), range(3))]
    assert sum(accuracies) / 3 > 0.5  # chance is 1 / 6


def test_the_lower_bound_learns_nothing(make_agent: MakeAgent, make_vec: MakeVec) -> None:
    agent = learn(make_agent("frozen"), range(3))
    fresh = make_agent("frozen").policy.network.backbone.state_dict()
    assert all(torch.equal(fresh[name], tensor) for name, tensor in agent.policy.network.backbone.state_dict().items())
    assert agent.policy.network.head.bias.abs().max() == 0 and agent.policy.network.head.weight.abs().max() < 0.01


@pytest.mark.parametrize("method", slow_but(QUICK, METHODS))
def test_the_pretrained_weights_stay(method: str, make_agent: MakeAgent, trained: Callable[[str], Trained]) -> None:
    untrained = make_agent(method).policy.network
    learning = {id(tensor) for tensor in untrained.peft_parameters}
    before = {name: tensor for name, tensor in untrained.backbone.named_parameters() if id(tensor) not in learning}
    after = dict(trained(method).whole.policy.network.backbone.named_parameters())
    assert before and all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("objective", slow_but(["aepg"], ["epg", "aepg", "gce", "reinforce"]))
@pytest.mark.parametrize("method", BY_GRADIENT)
def test_any_objective(method: str, objective: str, make_agent: MakeAgent) -> None:
    agent = learn(make_agent(method, objective=objective), range(2), images=16)
    assert agent.policy.network.head.bias.abs().max() > 0
    assert all(tensor.isfinite().all() for tensor in agent.policy.parameters())


@pytest.mark.parametrize("peft", slow_but(["adapter", "full"], ["adapter", "prefix", "vpt", "ssf", "ia3", "full"]))
@pytest.mark.parametrize("method", ANY_MODULE)
def test_any_module(method: str, peft: str, make_agent: MakeAgent, make_vec: MakeVec, tmp_path: Path) -> None:
    agent = learn(make_agent(method, peft=peft), range(2), images=16)
    agent.save(tmp_path / "agent")
    images = images_of(make_vec)
    assert torch.equal(scores(EPG.load(tmp_path / "agent", device="cpu"), images), scores(agent, images))


@pytest.mark.parametrize("method", BY_GRADIENT)
def test_mixed_precision_crops_and_several_steps_for_a_batch(method: str, make_agent: MakeAgent) -> None:
    agent = make_agent(method, precision="bfloat16", crop_scale=(0.5, 1), cache_features=False, batch_size=16)
    learn(agent, range(2), images=32)
    assert all(tensor.isfinite().all() for tensor in agent.policy.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_a_second_call_on_the_same_task_goes_on(method: str, make_agent: MakeAgent, make_vec: MakeVec) -> None:
    agent, images = learn(make_agent(method), range(1)), images_of(make_vec)
    before = scores(agent, images)
    learn(agent, range(1))
    assert agent.policy.network.tasks_begun == 1
    if not agent.policy.method.learns_by_gradient:  # the images have been counted already
        assert torch.equal(scores(agent, images), before)


@pytest.mark.parametrize(
    ("method", "peft", "objective", "message"),
    [
        (
            "lae",
            "none",
            "ce",
            "lae averages the trainable tensors of the backbone: it requires any PEFT module except 'none', not",
        ),
        (
            "inflora",
            "adapter",
            "ce",
            "it requires peft 'lora' with the arguments r, targets only, not 'adapter'",
        ),
        ("inflora", "lora:scale=true", "ce", "inflora designs the matrices of plain LoRA"),
        (
            "sd-lora",
            "lora",
            "ce",
            "sd-lora learns the magnitudes of LoRAs: it requires peft 'lora:scale=true'",
        ),
        ("l2p", "lora", "ce", "l2p learns prompts of its own: it requires peft 'none', not 'lora'"),
        ("ncm", "none", "aepg", "ncm learns without gradients: it requires objective 'none', not 'aepg'"),
        ("lae", "lora", "none", "lae learns by gradients: name an objective, not 'none'"),
        ("lea", "lora", "ce", "unknown method 'lea'; did you mean 'lae'?"),
        ("lae:dacay=0.9", "lora", "ce", "unknown argument of method 'lae' 'dacay'; did you mean 'decay'?"),
        ("lae:decay=2", "lora", "ce", r"decay must be in \[0, 1\], not 2"),
        ("sequential:size=2", "lora", "ce", "method 'sequential' has no argument, and so no 'size'"),
        ("l2p:top=11", "none", "ce", "top must be at most pool, 10, not 11"),
        ("inflora:energy=much", "lora", "ce", "unknown energy 'much'"),
        ("inflora:threshold=0", "lora", "ce", "threshold must be in"),
        ("replay:size=0", "lora", "ce", "size must be a whole number of at least 1, not 0"),
        ("der++:alpha=-1", "lora", "ce", r"alpha must be in \[0, inf\), not -1"),
        ("ncm:metric=manhattan", "none", "none", "unknown metric 'manhattan'"),
    ],
)
def test_what_does_not_go_together_is_refused(
    method: str, peft: str, objective: str, message: str, make_vec: MakeVec
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        check_method(method, peft, objective)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=message):
        EPG("ViTPolicy", make_vec(8), objective, batch_size=8, policy_kwargs={"method": method, "peft": peft})


def test_a_backbone_without_room_for_prompts_is_refused(make_vec: MakeVec) -> None:
    for method, message in (("l2p", "prompt tokens go into"), ("dualprompt", "no transformer blocks")):
        kwargs = {"method": method, "peft": "none", "model": "test_resnet", "pretrained": False}
        with pytest.raises(ValueError, match=message):
            EPG("ViTPolicy", make_vec(8), "ce", batch_size=8, policy_kwargs=kwargs)


def test_a_damaged_state_is_refused(make_agent: MakeAgent, tmp_path: Path) -> None:
    agent = learn(make_agent("replay"), range(1))
    agent.policy.method.extra = torch.nn.Parameter(torch.zeros(1))
    agent.save(tmp_path / "agent")
    with pytest.raises(ValueError, match="the saved method has tensors"):
        EPG.load(tmp_path / "agent", device="cpu")


def test_a_task_without_images_to_look_through_is_refused(make_agent: MakeAgent) -> None:
    with pytest.raises(ValueError, match="begun without an environment"):
        make_agent("inflora").policy.begin_task([0, 1], freeze_peft=False)


class Without(gym.vector.VectorWrapper):
    """An environment that does not tell something."""

    def __init__(self, env: gym.vector.VectorEnv, key: str) -> None:
        super().__init__(env)
        self.key = key

    def reset(self, **arguments: object) -> tuple[object, dict]:
        images, info = super().reset(**arguments)
        return images, self._without(info)

    def step(self, actions: object) -> tuple:
        *rest, info = super().step(actions)
        return (*rest, self._without(info))

    def _without(self, info: dict) -> dict:
        return {name: value for name, value in info.items() if self.key not in name}


@pytest.mark.parametrize(
    ("method", "key", "message"),
    [
        ("ncm", "epoch_length", r"method 'ncm' reads all images of a task.*info\['epoch_length'\]"),
        ("inflora", "epoch_length", r"method 'inflora' reads all images of a task.*info\['epoch_length'\]"),
        ("coda-prompt", "task_mask", r"needs info\['task_mask'\] to count them"),
    ],
)
def test_a_task_that_is_refused_is_not_begun(
    method: str, key: str, message: str, make_agent: MakeAgent, make_vec: MakeVec
) -> None:
    agent = make_agent(method, env=Without(make_vec(8), key))
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            agent.learn(8)
        assert agent.policy.network.tasks_begun == 0 and len(agent.policy.network.head.actions) == 0
    make_agent("sequential", env=Without(make_vec(8), key)).learn(8)


def test_a_method_is_in_eval_mode_at_test(make_agent: MakeAgent) -> None:
    """Dropout or batch statistics of one's own method would mix the images of a test batch."""
    policy = make_agent("lae").policy
    assert not policy.method.training
    policy.set_training_mode(True)
    assert policy.method.training
    policy.set_training_mode(False)
    assert not policy.method.training


def test_batches_come_in_one_order_for_every_method(make_agent: MakeAgent) -> None:
    """InfLoRA looks through the images beforehand, and still begins with the batch that others begin with."""
    seen = {}
    for method in ("sequential", "inflora"):
        agent = make_agent(method)
        logits = agent.policy.method.training_logits

        def watch(network: object, batch: object, logits: object = logits, method: str = method) -> torch.Tensor:
            seen.setdefault(method, []).append(batch.image_index.tolist())
            return logits(network, batch)

        agent.policy.method.training_logits = watch
        learn(agent, range(2))
    assert seen["sequential"] == seen["inflora"]


def test_registering() -> None:
    with pytest.raises(ValueError, match="'lae' is there already"):
        register_method("lae")
    with pytest.raises(ValueError, match="must not contain ':'"):
        register_method("my:method")
    with pytest.raises(TypeError, match=r"method 'mine': it must be a subclass of agents\.methods\.Method"):
        register_method("mine")(dict)
    assert "mine" not in METHODS


def test_state_is_counted() -> None:
    method = Method()
    method.register_buffer("kept", torch.zeros(3, dtype=torch.float64))
    method.learned = torch.nn.Parameter(torch.zeros(2))
    assert method.state_bytes == 3 * 8 + 2 * 4
    assert make_method("sequential").state_bytes == 0
