"""`cls-env pretrain` and `cls-env pretrain-characters`: the weights of the embedded backbones."""

from __future__ import annotations

from experiments.config.pretraining import CharactersConfig, PretrainConfig


def pretrain_command(config: PretrainConfig, dry_run: bool = False) -> None:
    """Pretrain a ViT on a folder of photographs; writes its weights and card. A stopped run goes on where it stopped.

    Args:
        config: How to train.
        dry_run: Show the configuration, and write nothing.
    """
    from experiments.console import say
    from experiments.pretraining.photographs import check_pretraining, pretrain

    check_pretraining(config)
    say(config)
    if not dry_run:
        say(pretrain(config))


def pretrain_characters_command(config: CharactersConfig, dry_run: bool = False) -> None:
    """Pretrain the embedded micro ViT on glyph classes that no stream uses; writes its weights and card.

    Args:
        config: How to train.
        dry_run: Show the configuration, and write nothing.
    """
    from experiments.console import say
    from experiments.pretraining.characters import check_pretraining, pretrain

    check_pretraining(config)
    say(config)
    if not dry_run:
        say(pretrain(config))
