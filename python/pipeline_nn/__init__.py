"""The program `pipeline` as a Python package: nothing but the way to the binary. Records and `--json` are what Python reads."""
