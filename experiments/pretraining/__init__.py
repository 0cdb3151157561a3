"""Supervised pretraining of the embedded backbones."""
