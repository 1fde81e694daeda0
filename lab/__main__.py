"""python -m lab demo|tasks|faults|bench"""

import argparse
import importlib
import sys

from townpost import SettingError

PARTS = {
    "demo": ("lab.demo", "both services on a server of their own, until Ctrl-C"),
    "tasks": ("lab.tasks_demo", "the worked application: an API, an indexer, and what happens when it goes away"),
    "faults": ("lab.faults_command", "what each pattern loses under each fault, measured"),
    "bench": ("lab.bench.run", "how fast it is, beside what people would pick otherwise"),
}
"""Each module has `options`, which adds its own to a parser, and `run`, which returns the exit status."""


def main(arguments: list[str]) -> int:
    """Run the part that is named; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab")
    parts = parser.add_subparsers(dest="part", required=True)
    for name, (module_name, purpose) in PARTS.items():
        part = parts.add_parser(name, help=purpose)
        if arguments[:1] == [name]:  # the others are slow to import, and not wanted
            module = importlib.import_module(module_name)
            module.options(part)
            part.set_defaults(run=module.run)
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except (SettingError, RuntimeError) as error:
        sys.stderr.write(f"lab: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
