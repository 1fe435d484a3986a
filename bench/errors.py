"""The errors a user meets: one line that says what, where, and what to do next."""


class BenchError(Exception):
    """Base of every error whose message is meant for the user, without a traceback."""


class UsageError(BenchError):
    """Wrong command, data or plugin, found before any work (exit code 2)."""


class MissingWeights(BenchError):
    """A pretrained file is absent; the message names the command that gets it."""


class TrainingFailed(BenchError):
    """Training stopped for a reason that belongs in the results (NaN, for one)."""


class MetricFailed(BenchError):
    """A metric gave a value that is not a number."""


class Interrupted(BenchError):
    """A signal asked to stop; the checkpoint was written first."""
