"""What goes wrong for the person who starts the stack."""


class StackError(Exception):
    """One sentence for a person: what is wrong, and what to do about it."""
