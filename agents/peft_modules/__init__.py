"""Small trainable modules inside a frozen ViT, made by peft."""
