"""python -m lab demo|faults"""

import argparse
import sys

from lab import demo, faults_command
from shared.errors import SettingError


def main(arguments: list[str]) -> int:
    """Run the part that is named; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab")
    parts = parser.add_subparsers(dest="part", required=True)
    show = parts.add_parser("demo", help="both services on a server of their own, until Ctrl-C")
    show.add_argument("--seconds", type=float, help="end by itself after so long")
    show.set_defaults(run=lambda given: demo.run(given.seconds))
    faults = parts.add_parser("faults", help="what each pattern loses under each fault, measured")
    faults_command.add_arguments(faults)
    faults.set_defaults(run=faults_command.main)
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except (SettingError, RuntimeError) as error:
        sys.stderr.write(f"lab: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
