"""The algorithms of "Opening Deep Networks", one short function per method."""

__version__ = "0.2.0.dev0"
