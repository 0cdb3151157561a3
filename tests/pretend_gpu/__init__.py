"""A pretend GPU: tensors stay in main memory, but are used as if some of them were on a GPU.

    with pretend_gpu() as traffic:
        agent = EPG("ViTPolicy", env, device="cuda").learn(64)
    print(traffic.uploaded, traffic.waits)

A tensor moved to "cuda" is copied, and its storage is marked. What PyTorch makes of marked tensors is marked too, in
backward passes as well. Where a GPU would raise an error, the pretend GPU raises it: for operands on two devices, a
generator on another device than the numbers it draws, and a NumPy array of a tensor on the GPU. It records what is
copied to and from the GPU, and where the host would wait for it.

It can't show errors of GPU kernels, or races: every operation is done when it returns.
"""

from tests.pretend_gpu.pretend import pretend_gpu
from tests.pretend_gpu.traffic import Event, StepTraffic, Traffic

__all__ = ["Event", "StepTraffic", "Traffic", "pretend_gpu"]
