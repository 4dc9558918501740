"""What uvicorn serves in production."""

import gc
from typing import Final

from kernel.boot.app import create_app
from kernel.boot.timed import Served

_YOUNG: Final = 20_000


def application() -> Served:
    """Return the application for a process that does nothing but serve it.

    What was made until now stays for ever: the garbage collector is not to look at it again. And
    requests leave little to it, so it need not look every 700 objects.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    return Served(app.front, app.connections)
