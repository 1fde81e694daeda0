"""`python -m townpost` is the command `townpost`."""

import sys

from townpost.cli import main

if __name__ == "__main__":
    sys.exit(main())
