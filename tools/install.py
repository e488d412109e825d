"""Install into the environment that runs this: with uv where it can be had, else with pip.

Arguments are those of `pip install`; constraints.txt always applies.
"""

import os
import subprocess
import sys

CONSTRAINTS = ["-c", "constraints.txt"]


def run(*command: str) -> bool:
    """Run a module; tell whether it succeeded."""
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode == 0


def main() -> int:
    """Install, and give the exit code."""
    arguments = sys.argv[1:]
    quiet = ["--quiet", "--disable-pip-version-check"]
    if not run("uv", "--version"):
        run("pip", "install", *quiet, "uv>=0.7")
    environment = ["--python", sys.executable]
    if run("uv", "pip", "install", *environment, *CONSTRAINTS, *arguments):
        return 0
    print("uv could not install; trying pip", file=sys.stderr)
    os.environ.setdefault("PIP_PREFER_BINARY", "1")
    # dependency groups need pip 25.1
    run("pip", "install", *quiet, "--upgrade", "pip>=25.1")
    return 0 if run("pip", "install", *quiet, *CONSTRAINTS, *arguments) else 1


if __name__ == "__main__":
    raise SystemExit(main())
