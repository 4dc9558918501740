"""Errors that prevent the start."""


class BootError(Exception):
    """The parts do not fit together; the message is one sentence that names the folders."""
