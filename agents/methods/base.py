"""What a continual-learning method is: hooks around a task, and what the learner hands to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.networks.feature_cache import FeatureCache
from cls_env.specification import parse_specification

if TYPE_CHECKING:
    from agents.policy import ViTPolicy

Loss = Callable[[Tensor, Tensor], Tensor]
"""The objective at this moment of the task: logits and rewards of shape (B, A) to the mean loss, a scalar."""

ANY_MODULE, ANY_MODULE_BUT_NONE = "any", "any but none"
"""What a method declares in `default_peft` where no one module is asked for."""

NO_OBJECTIVE = "none"
"""What is named as the objective of a method that learns without gradients."""


@dataclass(eq=False)
class Batch:
    """Images of the current task, with what the environment says of them.

    Attributes:
        images: uint8, as observed, on the policy's device.
        action_rewards: R(x, a) of every action, float32 of shape (B, A).
        action_mask: The classes among which the loss chooses, int8 of shape (B, A).
        image_index: What tells the images apart, int64 of shape (B,), or None.
        view: uint8 images to what the backbone sees of them.
        cache: Remembers the features of the frozen backbone; None where views are drawn at random.
        logits: What `training_logits` gave, before masking and without gradient, shape (B, A); empty before.
    """

    images: Tensor
    action_rewards: Tensor
    action_mask: Tensor
    image_index: NDArray[np.int64] | None
    view: Callable[[Tensor], Tensor]
    cache: FeatureCache | None = None
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    _seen: Tensor | None = None
    _frozen_features: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """The one view of the images, normalised, [B, 3, h, w]; drawn when first asked for."""
        if self._seen is None:
            self._seen = self.view(self.images)
        return self._seen

    def frozen_features(self, backbone: nn.Module) -> Tensor:
        """The features of a backbone that does not change, without gradient, shape (B, D).

        Computed once for a batch and, where there is a cache, once for an image.
        """
        if self._frozen_features is None:
            if self.cache is not None and self.image_index is not None:
                self._frozen_features = self.cache.features(
                    self.image_index, self.images, lambda images: backbone(self.view(images))
                )
            else:
                with torch.no_grad():
                    self._frozen_features = backbone(self.seen)
        return self._frozen_features

    @property
    def labels(self) -> Tensor:
        """The task's action with the highest reward, int64 of shape (B,).

        Raises:
            ValueError: An image has several such actions, as happens with noisy rewards, and so no label.
        """
        rewards = self.action_rewards.masked_fill(self.action_mask == 0, -torch.inf)
        highest, labels = rewards.max(dim=1)
        if ((rewards == highest[:, None]).sum(dim=1) > 1).any():
            raise ValueError(
                "this method learns from one label for each image, but several actions of an image have the highest "
                "reward: use an environment without reward_noise, or a method that learns from rewards"
            )
        return labels


def _no_images() -> Iterator[Batch]:
    raise ValueError("this task was begun without an environment, so that its images can't be looked through")


@dataclass(frozen=True)
class Task:
    """What a method is told of a task.

    Attributes:
        index: Tasks begun before it.
        classes: Its actions.
        num_tasks: Tasks of the stream; None where the environment does not say.
        seed: For the method's random numbers.
        images: One pass over the training images, each once, as the policy sees them at test; an iterator at each call.
    """

    index: int
    classes: Sequence[int]
    num_tasks: int | None = None
    seed: int = 0
    images: Callable[[], Iterator[Batch]] = _no_images


class Method(nn.Module):
    """Sequential fine-tuning, unless a subclass overrides hooks of it.

    A method lives in `policy.method`. Its parameters learn beside the head and the PEFT module; its buffers and
    parameters are its state, saved, loaded and counted with the policy. The hooks, in the order of a task:

        visits            which tasks' images the task is learned from
        check_task        whether it can be learned, before anything has changed
        begin_task       the head has grown, the optimizer is made after it
        training_logits   of a batch, of all actions
        loss_mask         the actions among which the objective chooses
        additional_loss   beside the objective of the batch
        after_step        the optimizer has stepped
        end_task        the last step of a `learn` call is done
        scores            at test, image by image: nothing may hang on the other images of a batch, nor on a task id
        remap_actions     the classes have other places in the environment that is learned from now on

    Attributes:
        learns_by_gradient: Without gradients there is no objective and no training loop: `end_task` is all.
        fixed_shapes: Whether its state keeps its shapes from task to task, so that a saved one must have them.
        needs_task_data: Whether it looks through a task's images beside learning from them.
        requires_no_peft: Why it goes with `peft="none"` alone; empty where it goes with others.
        default_peft: The PEFT modules it goes with: `"any"`, `"any but none"`, or the specification of the one module
            that it is made for, such as `"lora:r=10"`, of which the name must match.
        reason: Why it goes with no other one, for the message.
    """

    learns_by_gradient: ClassVar[bool] = True
    needs_task_data: ClassVar[bool] = False
    fixed_shapes: ClassVar[bool] = False
    requires_no_peft: ClassVar[str] = ""
    default_peft: ClassVar[str] = ANY_MODULE
    reason: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()

    def check_peft(self, peft: str) -> None:
        """Check that the method supports a PEFT module, by what it declares in `requires_no_peft` and `default_peft`.

        Args:
            peft: The specification of the module.

        Raises:
            ValueError: It does not.
        """
        name = parse_specification(peft)[0]
        reason = self.reason or f"{type(self).__name__} is not made for every PEFT module"
        if self.requires_no_peft:
            if name != "none":
                raise ValueError(f"{self.requires_no_peft}: it goes with peft 'none', not with {peft!r}")
        elif self.default_peft == ANY_MODULE_BUT_NONE:
            if name == "none":
                raise ValueError(f"{reason}: it goes with a PEFT module, not with 'none'")
        elif self.default_peft != ANY_MODULE and name != parse_specification(self.default_peft)[0]:
            raise ValueError(f"{reason}: it goes with peft {self.default_peft!r}, not with {peft!r}")

    def attach(self, policy: ViTPolicy, seed: int) -> None:
        """Make what is needed, once, when backbone, module and head of the policy are there.

        Raises:
            ValueError: The policy's backbone does not fit.
        """

    def training_tasks(self, task: int) -> Sequence[int]:
        """The tasks whose images a task is learned from: itself."""
        return [task]

    def check_task(self, task: Task) -> None:
        """Check that a task can be learned, before anything has changed.

        Raises:
            ValueError: It can't.
        """

    def begin_task(self, policy: ViTPolicy, task: Task) -> None:
        """Prepare for a task; `policy.set_trainable` changes what learns there."""

    def training_logits(self, policy: ViTPolicy, batch: Batch) -> Tensor:
        """Logits of all actions, shape (B, A); minus infinity for classes not met."""
        if policy.backbone_frozen and batch.cache is not None:
            return policy.head(batch.frozen_features(policy.backbone))
        return policy.head(policy.backbone(batch.seen))

    def loss_mask(self, policy: ViTPolicy, batch: Batch) -> Tensor:
        """Non-zero for the actions among which the objective chooses, (B, A): those of the task, a local loss."""
        return batch.action_mask

    def additional_loss(self, policy: ViTPolicy, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """What is added to the objective's mean over the batches of a step: a scalar, or None for nothing."""
        return None

    def after_step(self, policy: ViTPolicy, batches: Sequence[Batch]) -> None:
        """React to a gradient step on some batches."""

    def end_task(self, policy: ViTPolicy, task: Task) -> None:
        """Finish a task; once more where a further `learn` call went on with the same one."""

    def scores(self, policy: ViTPolicy, seen: Tensor) -> Tensor:
        """Logits of all actions at test, for normalised views [B, 3, h, w]; minus infinity for classes not met."""
        return policy.head(policy.backbone(seen))

    def resume(self, policy: ViTPolicy, tensors: dict[str, Tensor]) -> None:
        """Take on a saved state, in a policy whose head has grown to it.

        Args:
            policy: The policy, with `tasks_begun` tasks begun.
            tensors: The state that was saved, `state_dict()`.

        Raises:
            ValueError: A tensor is missing, unexpected or of another kind.
        """
        own = dict(self.state_dict())
        if set(own) != set(tensors):
            raise ValueError(f"the saved method has tensors {sorted(tensors)}, where {sorted(own)} are expected")
        for name, tensor in tensors.items():
            if (tensor.dtype, tensor.ndim) != (own[name].dtype, own[name].ndim):
                raise ValueError(
                    f"the saved {name} is {tensor.dtype} of {tensor.ndim} dimensions, where {own[name].dtype} of "
                    f"{own[name].ndim} is expected"
                )
            if self.fixed_shapes and tensor.shape != own[name].shape:
                raise ValueError(
                    f"the saved {name} has shape {tuple(tensor.shape)}, where {tuple(own[name].shape)} is expected"
                )
            path, _, leaf = name.rpartition(".")
            owner = self.get_submodule(path)
            copied = tensor.to(own[name].device, copy=True)  # a file's tensors may lie askew, and round differently
            # A state may have grown: shapes are those of the saved one.
            setattr(owner, leaf, nn.Parameter(copied) if leaf in owner._parameters else copied)

    def remap_actions(self, policy: ViTPolicy, new_index: Tensor, num_actions: int) -> None:
        """Move what is kept for each action to its place in another action space; the base class keeps nothing.

        Args:
            policy: The policy, whose head has moved already.
            new_index: The new position of each action, -1 for an unseen one that has none; int64 of shape (A,).
                `agents.networks.class_names.move_actions` moves a tensor by it.
            num_actions: Size of the other action space.
        """

    def frozen_adapters(self, policy: ViTPolicy) -> Sequence[Tensor]:
        """The tensors that a method has put beside the backbone's own weights and that do not learn at the moment."""
        return ()

    @property
    def state_bytes(self) -> int:
        """Size of what it keeps from task to task beside backbone, PEFT module and head."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.state_dict().values())
