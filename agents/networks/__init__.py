"""Networks: backbones, their weights and preprocessing, and the head."""
