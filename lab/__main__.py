"""python -m lab demo|bench"""

import argparse
import sys

from lab import demo
from lab.bench import run as bench
from shared.errors import SettingError


def main(arguments: list[str]) -> int:
    """Run the part that is named; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab")
    parts = parser.add_subparsers(dest="part", required=True)
    show = parts.add_parser("demo", help="both services on a server of their own, until Ctrl-C")
    show.add_argument("--seconds", type=float, help="end by itself after so long")
    bench.options(parts.add_parser("bench", help="how fast it is, beside what people would pick otherwise"))
    given = parser.parse_args(arguments)
    try:
        if given.part == "bench":
            return bench.run(given)
        return demo.run(given.seconds)
    except (SettingError, RuntimeError) as error:
        sys.stderr.write(f"lab: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
