"""What can go wrong on stage: the world's mistakes, each with what to do next."""


class LiveError(Exception):
    """Root of everything the live path raises for the world's mistakes."""


class AudioInputError(LiveError):
    """Raised when sound cannot be had from an audio device."""


class PortAudioMissingError(AudioInputError):
    """Raised when the PortAudio library is not on this machine."""


class DeviceNotFoundError(AudioInputError):
    """Raised when no audio input, or more than one, answers to the name asked for."""


class DeviceFormatError(AudioInputError):
    """Raised when an input does not have the channel or the rate asked for."""


class DeviceGoneError(AudioInputError):
    """Raised when an input that was playing has stopped by itself."""


class SupervisorGoneError(LiveError):
    """Raised when the supervisor of a performer that waits for its input has ended."""
