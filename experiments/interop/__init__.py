"""Other libraries' algorithms on the environments of `cls_env`, each unchanged, as its own users write it.

`python -m experiments.interop.sb3`, `cleanrl_ppo`, `torchrl_ppo`, `tianshou_ppo` or `rllib_ppo` trains on task 0 of
`cls_env/SplitGlyphs-v0` with the ViT of `agents.sb3.features`, and says how fast and how well.
"""
