"""The pretend GPU finds planted faults, counts planted traffic, and leaves nothing behind."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.pretend_gpu import Traffic, pretend_gpu

pytestmark = pytest.mark.long

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def there() -> Tensor:
    return torch.arange(1.0, 7.0, device="cuda").reshape(2, 3)


def here() -> Tensor:
    return torch.ones(2, 3)


def write_to_host_number() -> None:
    torch.zeros(()).add_(there().sum())


MIXTURES: dict[str, Callable[[], object]] = {
    "sum": lambda: there() + here(),
    "cat": lambda: torch.cat([here(), there()]),
    "stack of numbers": lambda: torch.stack([there().sum(), here().sum()]),
    "model on the host": lambda: nn.Linear(3, 2)(there()),
    "inputs on the host": lambda: nn.Linear(3, 2).to("cuda")(here()),
    "in place on the host": lambda: here().add_(there()),
    "number on the host is written to": write_to_host_number,
    "mask of a tensor on the host": lambda: here()[there() > 0],
    "values on the host at an index": lambda: there().index_put_((torch.tensor([0, 1], device="cuda"),), here()),
    "list of tensors": lambda: torch._foreach_add([there(), there()], [there(), here()]),
    "made with Python numbers": lambda: there() * torch.tensor([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("fault", MIXTURES)
def test_operands_on_two_devices_are_refused(fault: str, gpu: Traffic) -> None:
    with pytest.raises(RuntimeError, match=r"expects all tensors on the same device, and was given .* on c"):
        MIXTURES[fault]()


def test_a_mixture_in_a_backward_pass_is_refused(gpu: Traffic) -> None:
    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(context: object, values: Tensor) -> Tensor:
            return values * 2

        @staticmethod
        def backward(context: object, gradient: Tensor) -> Tensor:
            return gradient * at_hand

    at_hand = here()
    with pytest.raises(RuntimeError, match="expects all tensors on the same device"):
        Planted.apply(there().requires_grad_()).sum().backward()


def test_what_a_gpu_allows_is_allowed(gpu: Traffic) -> None:
    assert (there() + torch.tensor(1.0)).device == CUDA
    assert there()[:, torch.tensor([0, 2])].tolist() == [[1, 3], [4, 6]]
    assert there().copy_(here()).device == CUDA and here().copy_(there()).device == CPU
    assert torch.empty(0, device="cuda").device == CUDA


def test_what_pytorch_makes_within_an_operation_is_where_its_operands_are(gpu: Traffic) -> None:
    assert nn.functional.one_hot(torch.tensor([1], device="cuda"), 3).device == CUDA
    tensor = there().requires_grad_()
    tensor.unbind()[0].sum().backward()  # zeros for the other row
    assert tensor.grad is not None and tensor.grad.device == CUDA


@pytest.mark.parametrize("place", [CPU, CUDA])
def test_a_generator_on_another_device_is_refused(place: torch.device, gpu: Traffic) -> None:
    other = CUDA if place == CPU else CPU
    draws: list[Callable[[torch.Generator], Tensor]] = [
        lambda generator: torch.rand(3, device=place, generator=generator),
        lambda generator: torch.multinomial(torch.ones(1, 3, device=place), 1, generator=generator),
        lambda generator: torch.empty(3, device=place).exponential_(generator=generator),
    ]
    for draw in draws:
        assert draw(torch.Generator(place)).device == place
        with pytest.raises(RuntimeError, match=f"expects a generator on {place}, not one on {other}"):
            draw(torch.Generator(other))


@pytest.mark.parametrize("convert", [Tensor.numpy, np.asarray])
def test_an_array_of_a_tensor_on_the_gpu_is_refused(convert: Callable[[Tensor], object], gpu: Traffic) -> None:
    with pytest.raises(TypeError, match="can't convert a tensor on cuda:0 to NumPy"):
        convert(there())
    assert np.array_equal(convert(there().cpu()), [[1, 2, 3], [4, 5, 6]])


WAITS: dict[str, Callable[[Tensor], object]] = {
    "item": lambda tensor: tensor.sum().item(),
    "bool": lambda tensor: bool(tensor.all()),
    "float": lambda tensor: float(tensor[0, 0]),
    "in": lambda tensor: 5 in tensor,
    "tolist": Tensor.tolist,
    "nonzero": Tensor.nonzero,
    "unique": Tensor.unique,
    "masked_select": lambda tensor: tensor.masked_select(tensor > 2),
    "boolean index": lambda tensor: tensor[tensor > 2],
    "boolean index written to": lambda tensor: tensor.__setitem__(tensor > 4, tensor[0, :2] + 1),
    "equal": lambda tensor: torch.equal(tensor, tensor + 1),
    "allclose": lambda tensor: torch.allclose(tensor, tensor + 1),
    "repeat_interleave": lambda tensor: tensor[0].repeat_interleave(tensor[0].long()),
    "number as an index": lambda tensor: tensor[tensor[0, 0].long()],
    "eigenvalues": lambda tensor: torch.linalg.eigh(tensor @ tensor.T),
    "inverse": lambda tensor: torch.linalg.inv(tensor @ tensor.T),
    "cpu": Tensor.cpu,
    "to the host": lambda tensor: tensor.to("cpu"),
    "copied into": lambda tensor: here().copy_(tensor),
}


@pytest.mark.parametrize("wait", WAITS)
def test_waits_are_counted_where_they_are_asked_for(wait: str, gpu: Traffic) -> None:
    tensor = there()
    gpu.taken()
    WAITS[wait](tensor)
    assert gpu.waits and all(event.line.startswith(__file__) for event in gpu.waits)


def test_what_does_not_wait_is_not_counted(gpu: Traffic) -> None:
    tensor = there().requires_grad_()
    gpu.taken()
    tensor.detach()[tensor > 5] = 0.0  # filled, not counted
    torch.where(tensor > 2, tensor, 0.0).sum().backward()
    torch.optim.Adam([tensor]).step()
    tensor[0].argsort(), tensor.cumsum(dim=0), tensor.softmax(dim=1).clamp(min=0.1)
    assert gpu.events == []


UPLOADS: dict[str, tuple[int, bool, Callable[[Tensor], object]]] = {
    "to": (24, True, lambda tensor: tensor.to("cuda")),
    "to, by name": (24, True, lambda tensor: tensor.to(device=torch.device("cuda"))),
    "to the place of another": (24, True, lambda tensor: tensor.to(torch.zeros(1, device="cuda"))),
    "cuda": (24, True, Tensor.cuda),
    "as float64": (48, True, lambda tensor: tensor.to("cuda", torch.float64)),
    "pageable": (24, True, lambda tensor: tensor.to("cuda", non_blocking=True)),
    "pinned": (24, False, lambda tensor: tensor.pin_memory().to("cuda", non_blocking=True)),
    "pinned, by position": (48, False, lambda tensor: tensor.pin_memory().to("cuda", torch.float64, True)),
    "pinned, blocking": (24, True, lambda tensor: tensor.pin_memory().to("cuda")),
    "born pinned": (40, False, lambda tensor: torch.empty(10, pin_memory=True).to("cuda", non_blocking=True)),
    "copied into": (24, True, lambda tensor: torch.empty(2, 3, device="cuda").copy_(tensor)),
    "copied into from pinned": (
        24,
        False,
        lambda tensor: torch.empty(2, 3, device="cuda").copy_(tensor.pin_memory(), non_blocking=True),
    ),
    "list": (16, True, lambda tensor: torch.tensor([1, 2], device="cuda")),
    "array": (8, True, lambda tensor: torch.as_tensor(np.zeros(1), device="cuda")),
    "index": (16, True, lambda tensor: torch.zeros(4, device="cuda")[torch.tensor([0, 1])]),
    "list as index": (16, True, lambda tensor: torch.zeros(4, device="cuda")[[0, 1]]),
}


@pytest.mark.parametrize("upload", UPLOADS)
def test_uploads_are_counted(upload: str, gpu: Traffic) -> None:
    size, waits, act = UPLOADS[upload]
    act(here())
    (event,) = gpu.events
    assert (event.kind, event.size, event.waits) == ("upload", size, waits)
    assert gpu.uploaded == size


def test_a_non_blocking_download_does_not_wait(gpu: Traffic) -> None:
    copied = there().to("cpu", non_blocking=True)
    assert [(event.kind, event.waits) for event in gpu.events] == [("download", False)] and copied.is_pinned()


def test_the_place_of_a_tensor_is_that_of_its_memory(gpu: Traffic) -> None:
    linear = nn.Linear(3, 2).to("cuda")
    optimizer = torch.optim.Adam(linear.parameters())
    linear(there()).sum().backward()
    optimizer.step()
    state = optimizer.state[linear.weight]
    for tensor in (linear.weight, linear.weight.grad, linear.weight.data[1:], state["exp_avg"], linear.weight.mT):
        assert tensor is not None and tensor.device == CUDA and tensor.is_cuda and not tensor.is_cpu
    assert copy.deepcopy(linear).weight.device == copy.deepcopy(there()).device == CUDA
    assert state["step"].device == CPU
    assert linear.to("cpu").weight.device == CPU


def test_a_moved_tensor_is_a_copy(gpu: Traffic) -> None:
    tensor = here()
    moved = tensor.to("cuda")
    tensor.zero_()
    assert moved.cpu().sum() == 6 and moved.to("cuda") is moved


def test_memory_that_is_used_again_has_no_place_of_before(gpu: Traffic) -> None:
    addresses = set()
    for _ in range(100):
        addresses.add(torch.ones(1000, device="cuda").untyped_storage().data_ptr())
        tensor = torch.empty(1000)
        assert tensor.device == CPU
        if tensor.untyped_storage().data_ptr() in addresses:
            return
    pytest.fail("no memory was used again")


def test_nothing_is_left_behind() -> None:
    names = ("is_available", "synchronize", "mem_get_info")
    before = [getattr(torch.cuda, name) for name in names], torch.Generator, torch.autocast, torch.amp.autocast
    with pytest.raises(ZeroDivisionError), pretend_gpu():
        assert torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 0
        tensor = there()
        raise ZeroDivisionError
    assert before == (
        [getattr(torch.cuda, name) for name in names],
        torch.Generator,
        torch.autocast,
        torch.amp.autocast,
    )
    assert tensor.device == CPU and (tensor + here()).shape == (2, 3)
    with pretend_gpu() as traffic:
        assert traffic.events == []
