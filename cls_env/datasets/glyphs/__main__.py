"""`python -m cls_env.datasets.glyphs` writes the file of the character pools."""

from __future__ import annotations

import json

from cls_env.datasets.glyphs.characters import CHARACTERS_FILE, select_characters

if __name__ == "__main__":
    pools = {name: "".join(pool) for name, pool in select_characters().items()}
    temporary = CHARACTERS_FILE.with_suffix(".tmp")
    temporary.write_text(json.dumps(pools, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    temporary.replace(CHARACTERS_FILE)
    print({name: len(pool) for name, pool in pools.items()})
