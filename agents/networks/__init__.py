"""Networks: backbones, their weights and inputs, and the head."""
