"""Parts that papers share, for plugins to build on."""
