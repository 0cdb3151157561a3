"""What the documentation site takes from files of the repository that are not in `docs`."""
