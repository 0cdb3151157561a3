"""Many runs that differ in one thing at a time."""
