"""What the world can get wrong with an oracle; runs on any thread, never logs."""


class OracleError(Exception):
    """Root of the oracle's errors; each message says what to do next."""


class BrokenLinksError(OracleError):
    """Raised when stored links do not describe an oracle."""


class TrainingError(OracleError):
    """Raised when nothing can be learned from the recordings given."""


class BusyError(OracleError):
    """Raised when another process is at work on the same output."""
