"""Three kinds of work that the soak asks for; `number` names one piece of work."""

from kernel.events import Event


class SoakMailAsked(Event):
    """An effect like a mail was asked for, once."""

    number: int


class SoakSumAsked(Event):
    """A computation was asked for, once."""

    number: int


class SoakWelcomeAsked(Event):
    """Something that happens once for each number was asked for; this event comes twice."""

    number: int
