"""`cls-env pretrain`: the weights of the embedded micro ViT."""

from __future__ import annotations

from experiments.config.pretraining import PretrainConfig


def pretrain_command(config: PretrainConfig, dry_run: bool = False) -> None:
    """Pretrain the embedded micro ViT on glyph classes that no stream uses; writes its weights and card.

    Args:
        config: How to train.
        dry_run: Show the configuration, and write nothing.
    """
    from experiments.console import say
    from experiments.pretrain import check_pretraining, pretrain

    check_pretraining(config)
    say(config)
    if not dry_run:
        say(pretrain(config))
