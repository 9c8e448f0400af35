"""`python -m avslowfast` is the console script `avslowfast`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
