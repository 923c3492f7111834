"""`python -m pipeline_nn …` runs the program that was installed with this package."""

import os
import subprocess
import sys
import sysconfig


def program():
    """The path of the binary: beside the interpreter, or where `pip install --user` puts programs."""
    name = "pipeline" + (sysconfig.get_config_var("EXE") or "")
    schemes = [sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")]
    paths = [os.path.join(sysconfig.get_path("scripts", scheme), name) for scheme in schemes]
    for path in paths:
        if os.path.isfile(path):
            return path
    raise SystemExit(f"pipeline_nn: the program is not at {' or '.join(paths)}; install it again: pip install --force-reinstall pipeline-nn")


def main():
    command = [program(), *sys.argv[1:]]
    if os.name == "nt":
        # Windows has no exec that keeps the console.
        sys.exit(subprocess.run(command).returncode)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
