"""What can go wrong with recordings and models: the world's mistakes, each with what to do next."""


class ModelsError(Exception):
    """Root of everything this package raises for the world's mistakes."""


class AudioFileError(ModelsError):
    """Raised when a recording cannot be opened, is damaged, or is not audio we can play from."""


class EncoderError(ModelsError):
    """Raised when an encoder cannot be built as it was asked for."""


class WeightsError(EncoderError):
    """Raised when model files are damaged or are not the architecture they should be."""


class WeightsMissingError(WeightsError):
    """Raised when a model's weights are neither on this machine nor reachable."""
