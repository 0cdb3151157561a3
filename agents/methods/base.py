"""The base class of continual-learning methods: hooks around a task, and the declarations of a method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from agents.methods.batch import Batch, Loss, TaskInfo
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.network import Network

NO_OBJECTIVE = "none"
"""The objective to name with a method that learns without gradients."""

RENAMED = {
    "before_task": "begin_task",
    "after_task": "end_task",
    "visits": "training_tasks",
    "choosable": "loss_mask",
    "at_rest": "frozen_adapters",
    "resume": "load_state",
    "looks_through_tasks": "needs_task_data",
    "brings_own_module": "accepts_peft",
    "goes_with": "accepts_peft and default_peft",
    "reason": "accepts_peft",
}
"""Names of hooks and declarations in version 0.1.0, and their names now."""


class Method(nn.Module):
    """Base class of methods; without overridden hooks it is sequential fine-tuning.

    A method does not train: the learner has the loop, the optimizer and the objective, and calls the method's hooks.
    Parameters of a method are trained together with the head and the PEFT module. Parameters and buffers are its
    state, which is saved, loaded and counted with the policy. Most hooks receive the policy's `Network`, with
    `backbone`, `head`, `peft_parameters` and `tasks_begun`. In the order of a task they are:

        attach            once, when the network exists
        training_tasks    the tasks whose images are trained on; asked by the code that sets the environment's task
        check_task        refuse a task before anything has changed
        begin_task        the head has grown; the optimizer is made afterwards
        loss_mask         the actions that the objective is computed over
        training_logits   logits of a batch
        additional_loss   a term added to the objective
        after_step        the optimizer has taken a step
        end_task          the last step of a `learn` call is done
        scores            predictions at test time, for each image by itself: without other images of the batch or a
                          task id

    At other times: `frozen_adapters` for counting parameters, `load_state` when a saved agent is loaded, and
    `remap_actions` when the classes have other positions in a new environment.

    Attributes:
        learns_by_gradient: False for a method without objective and training loop, which does all in `end_task`.
        needs_task_data: Whether it iterates over a task's images in `begin_task` or `end_task` (`TaskInfo.images`).
        fixed_shapes: Whether its state keeps its shapes from task to task, so that a loaded one must have them.
        unknown_as_nan: Names of its tensors in which NaN stands for an unknown value.
        can_compile: Whether the backbone's blocks may be compiled; not if the method adds modules to them in each task.
        additional_images: Images that `additional_loss` passes through the network in a step; a dry run counts them.
        default_peft: Specification of the PEFT module to use where the user names none, such as `"lora:r=10"`.
        accepts_peft: The PEFT modules that it can be combined with; others are refused.
    """

    learns_by_gradient: ClassVar[bool] = True
    needs_task_data: ClassVar[bool] = False
    fixed_shapes: ClassVar[bool] = False
    unknown_as_nan: ClassVar[tuple[str, ...]] = ()
    can_compile: ClassVar[bool] = True
    additional_images: int = 0
    default_peft: ClassVar[str] = "lora"
    accepts_peft: ClassVar[PeftRequirement] = PeftRequirement()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for earlier, name in RENAMED.items():
            if hasattr(cls, earlier):
                raise TypeError(f"{cls.__name__}.{earlier} would be ignored: it is named {name} now")
        if not isinstance(cls.accepts_peft, PeftRequirement):
            raise TypeError(f"{cls.__name__}.accepts_peft must be a PeftRequirement, not {cls.accepts_peft!r}")
        try:
            cls.check_peft(cls.default_peft)
        except ValueError as error:
            raise TypeError(f"{cls.__name__}.default_peft: {error}") from error

    def __init__(self) -> None:  # a signature without arguments, unlike nn.Module's
        super().__init__()

    @classmethod
    def check_peft(cls, peft: str) -> None:
        """Raise ValueError unless `accepts_peft` accepts a PEFT module.

        Args:
            peft: The specification of the module.
        """
        cls.accepts_peft.check(peft, cls.__name__)

    @classmethod
    def peft_or_default(cls, peft: str) -> str:
        """`peft` if the method accepts modules of any name, else `default_peft`; for comparisons of methods."""
        return peft if cls.accepts_peft.any_name else cls.default_peft

    def attach(self, network: Network, seed: int) -> None:
        """Create parameters and buffers, once, when the network is made.

        Args:
            network: The policy's network; its head has no rows yet.
            seed: For initial values.

        Raises:
            ValueError: The method does not fit the backbone.
        """

    def training_tasks(self, task: int) -> Sequence[int]:
        """The tasks whose images are trained on in a task; by default the task itself."""
        return [task]

    def check_task(self, task: TaskInfo) -> None:
        """Raise ValueError if a task can't be learned, before anything has changed."""

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Prepare for a task; `network.set_trainable` chooses the trainable tensors of the backbone."""

    def training_logits(self, network: Network, batch: Batch) -> Tensor:
        """Logits of all actions, shape (B, A); minus infinity for unseen classes."""
        if network.backbone_frozen and batch.cache is not None:
            return network.head(batch.frozen_features(network.encode))
        return network(batch.embedded(network.embed) if network.embeds_apart else batch.inputs)

    def loss_mask(self, network: Network, batch: Batch) -> Tensor:
        """Non-zero for the actions that the objective is computed over, (B, A) or (1, A); by default the task's."""
        return batch.action_mask

    def additional_loss(self, network: Network, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """A scalar that is added to the objective's mean over the batches of a step; None for nothing.

        Args:
            network: The network.
            batches: Of the step.
            loss: The objective, for logits and rewards of other images.
        """
        return None

    def after_step(self, network: Network, batches: Sequence[Batch]) -> None:
        """Update the method's state after a gradient step."""

    def end_task(self, network: Network, task: TaskInfo) -> None:
        """Finish a task.

        It is called at the end of every `learn` call, so again if a further call continues the same task. The PEFT
        module may still be frozen: in a task of few steps the share of steps given by `freeze_fraction` may cover all
        of them. A hook that needs gradients of `network.peft_parameters` must set `requires_grad_` itself, and restore
        it.
        """

    def scores(self, network: Network, inputs: Tensor) -> Tensor:
        """Logits of all actions at test time, shape (B, A); minus infinity for unseen classes.

        Args:
            network: The network.
            inputs: Preprocessed images, [B, 3, h, w].
        """
        return network(inputs)

    def remap_actions(self, network: Network, new_index: Tensor, num_actions: int) -> None:
        """Move what the method keeps for each action to its position in another action space.

        Args:
            network: The network; its head has moved already.
            new_index: The new position of each action, -1 for an unseen one that has none; int64 of shape (A,).
                `agents.networks.class_names.move_actions` moves a tensor by it.
            num_actions: Size of the other action space.
        """

    def load_state(self, network: Network, tensors: dict[str, Tensor]) -> None:
        """Load a saved state.

        Args:
            network: The network; head and `tasks_begun` are those of the saved agent already.
            tensors: The saved `state_dict()`.

        Raises:
            ValueError: A tensor is missing, unexpected or of another dtype or shape.
        """
        own = dict(self.state_dict())
        if set(own) != set(tensors):
            raise ValueError(f"the saved method has tensors {sorted(tensors)}, where {sorted(own)} are expected")
        for name, tensor in tensors.items():
            self._check_saved(name, tensor, own[name])
            path, _, leaf = name.rpartition(".")
            owner = self.get_submodule(path)
            copied = tensor.to(own[name].device, copy=True)  # memory of a file may be unaligned, and round differently
            # A state may have grown: shapes are those of the saved one.
            setattr(owner, leaf, nn.Parameter(copied) if leaf in owner._parameters else copied)

    def _check_saved(self, name: str, tensor: Tensor, own: Tensor) -> None:
        if (tensor.dtype, tensor.ndim) != (own.dtype, own.ndim):
            raise ValueError(
                f"the saved {name} is {tensor.dtype} of {tensor.ndim} dimensions, where {own.dtype} of {own.ndim} is "
                "expected"
            )
        if self.fixed_shapes and tensor.shape != own.shape:
            raise ValueError(f"the saved {name} has shape {tuple(tensor.shape)}, where {tuple(own.shape)} is expected")

    def training_state(self) -> dict[str, Tensor]:
        """What the rest of a task depends on, for a run that is stopped within it: by default `state_dict()`.

        A method that keeps anything else from step to step, such as random numbers, adds it here and in
        `load_training_state`. What `begin_task` makes need not be added: it is made again.
        """
        return dict(self.state_dict())

    def load_training_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on within a task, after `begin_task`, from what `training_state` returned.

        Raises:
            ValueError: A tensor is missing or unexpected, or a parameter has another shape.
        """
        own = dict(self.state_dict(keep_vars=True))
        if set(own) != set(tensors):
            raise ValueError(f"the saved method has tensors {sorted(tensors)}, where {sorted(own)} are expected")
        for name, tensor in tensors.items():
            if own[name].shape == tensor.shape:
                own[name].data.copy_(tensor)  # in place, since the optimizer has the parameters
            elif isinstance(own[name], nn.Parameter):
                raise ValueError(f"the saved {name} has shape {tuple(tensor.shape)}, not {tuple(own[name].shape)}")
            else:
                path, _, leaf = name.rpartition(".")
                setattr(self.get_submodule(path), leaf, tensor.to(own[name].device, copy=True))

    def keep_copies(self, name: str, tensors: Iterable[Tensor]) -> None:
        """Copy tensors into buffers `name_0`, `name_1`, ..., so that the copies are saved, loaded and counted.

        A further call with the same name replaces the copies. Call it in `attach` too, since a state is loaded into
        buffers that exist.

        Args:
            name: Prefix of the buffers' names.
            tensors: Tensors such as `network.peft_parameters`.
        """
        index = -1
        for index, tensor in enumerate(tensors):
            self.register_buffer(f"{name}_{index}", tensor.detach().clone())
        while f"{name}_{index + 1}" in self._buffers:
            index += 1
            del self._buffers[f"{name}_{index}"]

    def copies(self, name: str) -> list[Tensor]:
        """The tensors that `keep_copies` keeps under a name, in their order."""
        kept: list[Tensor] = []
        while (tensor := self._buffers.get(f"{name}_{len(kept)}")) is not None:
            kept.append(tensor)
        return kept

    def frozen_adapters(self, network: Network) -> Sequence[Tensor]:
        """Adapter tensors that the method has added to the backbone and are frozen, e.g. LoRAs of earlier tasks."""
        return ()

    @property
    def state_bytes(self) -> int:
        """Size of the state that is kept from task to task, in bytes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.state_dict().values())
