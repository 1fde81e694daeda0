"""``python -m lab.bench.peers NAME VARIANT work`` or ``... publish COUNT SIZE RATE``, by the peer's own interpreter."""

import importlib
import os
import sys

name, variant, role, *extent = sys.argv[1:]
os.environ |= {"BENCH_VARIANT": variant, "BENCH_ROLE": role, "BENCH_EXTENT": " ".join(extent)}
# by name, never as __main__: workers find their tasks under the name of the module
adapter = importlib.import_module(f"lab.bench.peers.{name}")
getattr(adapter, role)()
