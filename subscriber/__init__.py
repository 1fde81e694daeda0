"""The service that listens."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("townpost") is None:  # started where the library is not installed: it stands beside this
    sys.path.insert(0, str(Path(__file__).parents[1] / "shared"))
