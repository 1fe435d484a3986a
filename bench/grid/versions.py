"""Versions of the harness's own part in what it computes. They stand in keys in place of its source code.

Raise one with any change that alters results; tests/grid/test_versions.py holds a few bits of each and fails where they change.
"""

LOOP = 2  # training: stages, batches, augmentation, optimizers' steps, averages
INFERENCE = 1  # batches, rounding to 8 bits, seeds of test conditions
SCORES = 3  # rows, intervals and what metrics are given
