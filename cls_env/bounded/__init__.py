"""Reading of files that others may have made: nothing in them runs, and memory and disk are not filled."""
