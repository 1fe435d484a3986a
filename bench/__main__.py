"""``python -m bench``: the command without an install."""

from .cli import main

raise SystemExit(main())
