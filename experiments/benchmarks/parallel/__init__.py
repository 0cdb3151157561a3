"""How far a run in several processes differs from the same run in one."""
