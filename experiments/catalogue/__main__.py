"""`python -m experiments.catalogue`: write `catalogue.json`."""

from experiments.catalogue.contents import contents
from experiments.catalogue.names import FILE
from experiments.files import write_json

if __name__ == "__main__":
    write_json(FILE, contents())
    print(FILE)
