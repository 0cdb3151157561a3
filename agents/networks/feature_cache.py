"""A cache of the features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.networks.uploads import upload_small

MOST_PATCH_BYTES = 2**28
"""The most memory for patch embeddings, in bytes."""
Digests = Callable[[Tensor], list[bytes]]
"""The digest of each image of a batch."""


class FeatureCache:
    """Features by image index, with a digest of each image's pixels; exact while the backbone is frozen.

    In the head-only phase of a task every epoch would repeat the same forward passes. With the cache, the second and
    later epochs cost a hash and a gather. Call `forget` when the backbone changes. A changed image under a known index
    replaces the cached one, so that wrappers which change images take time but no further memory.

    Args:
        digests: The digest of each image of a batch; `no_digests` where the image of an index never changes.
        most_bytes: The most memory for features. If they take more, none is kept until `forget` is called.
    """

    def __init__(self, digests: Digests | None = None, most_bytes: float = inf) -> None:
        self.digests, self._most_bytes = digests or digests_of, most_bytes
        self.forget()

    @cached_property
    def patches(self) -> FeatureCache:
        """A cache of the patch embeddings of these images; none are kept if they take more than `MOST_PATCH_BYTES`."""
        return FeatureCache(self.digests, MOST_PATCH_BYTES)

    def forget(self) -> None:
        """Drop all features and patch embeddings."""
        self.__dict__.pop("patches", None)
        self._full = False
        self._slots: dict[int, int] = {}
        self._digests: list[bytes] = []
        self._features: Tensor | None = None

    def state(self) -> dict[str, Tensor]:
        """All that is stored, as tensors, for `load_state`."""
        state = {"full": torch.tensor(self._full)}
        if self._features is not None:
            digests = torch.tensor([list(digest) for digest in self._digests], dtype=torch.uint8)
            indices = torch.tensor(sorted(self._slots, key=self._slots.__getitem__))
            state |= {"features": self._features, "digests": digests, "indices": indices}
        if patches := self.__dict__.get("patches"):
            state |= {f"patches.{name}": tensor for name, tensor in patches.state().items()}
        return state

    def load_state(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Store what `state` returned instead of what is stored now.

        Args:
            state: The tensors.
            device: Where features are kept.
        """
        self.forget()
        self._full = bool(state["full"])
        if "features" in state:
            self._features = state["features"].to(device, copy=True)
            self._digests = [bytes(digest) for digest in state["digests"].cpu().numpy()]
            self._slots = {index: slot for slot, index in enumerate(state["indices"].tolist())}
        own = "patches."
        patches = {name.removeprefix(own): tensor for name, tensor in state.items() if name.startswith(own)}
        if patches:
            self.patches.load_state(patches, device)

    def features(self, indices: NDArray[np.int64], images: Tensor, extract: Callable[[Tensor], Tensor]) -> Tensor:
        """The features of a batch; only those that are not cached are computed.

        Args:
            indices: An index that identifies each image, int64 of shape (B,).
            images: The images, shape (B, ...).
            extract: The frozen backbone, images to features of shape (n, D).

        Returns:
            Features of shape (B, D), without gradient.
        """
        if self._full:
            with torch.no_grad():
                return extract(images)
        keys = list(zip(indices.tolist(), self.digests(images), strict=True))
        rows = {key: row for row, key in enumerate(keys) if not self._knows(*key)}
        if not rows:
            assert self._features is not None
            return _rows(self._features, [self._slots[index] for index, _ in keys])
        with torch.no_grad():
            computed = extract(_rows(images, list(rows.values())))
        known = len(self._digests)
        pool = computed if self._features is None else torch.cat([self._features, computed])
        place = {key: known + position for position, key in enumerate(rows)}
        chosen = _rows(pool, [place[key] if key in place else self._slots[key[0]] for key in keys])
        if pool.nbytes > self._most_bytes:
            self.forget()
            self._full = True
        else:
            self._keep(pool, place)
        return chosen

    def _knows(self, index: int, digest: bytes) -> bool:
        return index in self._slots and self._digests[self._slots[index]] == digest

    def _keep(self, pool: Tensor, place: dict[tuple[int, bytes], int]) -> None:
        """Keep one image for each index, the last one computed."""
        last = {index: (digest, at) for (index, digest), at in place.items()}
        kept = list(range(len(self._digests)))
        for index, (digest, at) in last.items():
            if index in self._slots:
                kept[self._slots[index]], self._digests[self._slots[index]] = at, digest
            else:
                self._slots[index] = len(kept)
                kept.append(at)
                self._digests.append(digest)
        self._features = pool if kept == list(range(len(pool))) else _rows(pool, kept)


def _rows(tensor: Tensor, chosen: Sequence[int]) -> Tensor:
    return tensor.index_select(0, upload_small(torch.tensor(chosen), tensor.device))


def no_digests(images: Tensor) -> list[bytes]:
    """The same digest for all images."""
    return [b""] * len(images)


def digests_of(images: Tensor) -> list[bytes]:
    """A hash of each image's pixels, 16 bytes."""
    return [blake2b(image.data, digest_size=16).digest() for image in np.ascontiguousarray(images.cpu().numpy())]
