"""``python -m bench``: the command without an install."""

from bench.cli import main

raise SystemExit(main())
