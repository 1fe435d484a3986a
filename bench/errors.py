"""The errors a user meets: one line that says what, where, and what to do next; ``code`` is the exit code it means."""


def printable(text: str) -> str:
    """In one line, as any terminal shows it: control characters and bytes that are no text are written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class BenchError(Exception):
    """Base of every error whose message is meant for the user, without a traceback and in one line."""

    code = 2

    def __init__(self, *said: object) -> None:
        super().__init__(*(printable(one) if isinstance(one, str) else one for one in said))


class UsageError(BenchError):
    """Wrong command, data or plugin, found before any work."""


class PluginFailed(UsageError):
    """What a plugin raised while it was imported or asked about itself, in one line with its own place."""


class UnreadableImage(BenchError):
    """A file that is no image, is cut short, or cannot be opened."""


class StoreError(BenchError):
    """Nothing can be written: the disk is full, or the folder read-only."""


class Unreachable(UsageError):
    """No answer from a host."""


class NotServed(UsageError):
    """A host answers that it has no such file, or does not give it to us."""


class MissingWeights(BenchError):
    """A pretrained file is absent; the message names the command that gets it."""


class TrainingFailed(BenchError):
    """Training stopped for a reason that belongs in the results (NaN, for one)."""


class MetricFailed(BenchError):
    """A metric gave a value that is not a number."""


class Unavailable(BenchError):
    """Raised by a metric's ``score`` where it has no meaning for these outputs; the message is the reason."""


class CellFailed(BenchError):
    """A cell of the grid failed, or one that it needs; the message is the reason."""

    code = 1


class Interrupted(BenchError):
    """A signal asked to stop; the checkpoint was written first."""

    code = 130
