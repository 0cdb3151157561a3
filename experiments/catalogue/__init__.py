"""What the command line takes by name: objectives, PEFT modules, continual-learning methods and studies.

`catalogue.json` holds it, so that it is listed, and an unknown name is answered, without importing PyTorch.
`python -m experiments.catalogue` writes it.
"""
