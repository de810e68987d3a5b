"""What the world can get wrong with an oracle; runs on any thread, never logs."""


class OracleError(Exception):
    """Root of the oracle's errors; each message says what to do next."""


class BrokenLinksError(OracleError):
    """Raised when stored links do not describe an oracle."""
