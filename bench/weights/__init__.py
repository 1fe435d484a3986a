"""Pretrained files that metrics and losses need: a folder of them, checked. Nothing downloads unasked."""

from bench.weights.files import by_address, check, file_hash, find, load, manifest, path, store

__all__ = ["by_address", "check", "file_hash", "find", "load", "manifest", "path", "store"]
