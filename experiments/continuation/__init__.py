"""Further classes for a trained model."""
