"""`python -m benchmarks`: measure the gateway."""

import sys

from benchmarks.gateway import main

sys.exit(main(sys.argv[1:]))
