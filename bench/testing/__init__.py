"""The conformance suite: does a plugin keep the interface? ``bench check`` prints it, tests of packages call ``conforms``."""

from bench.testing.suite import Finding, conforms, findings

__all__ = ["Finding", "conforms", "findings"]
