"""The application that uvicorn serves in production."""

import gc
from typing import Final

from kernel.boot.app import create_app
from kernel.boot.timed import Served

_YOUNG: Final = 20_000


def application() -> Served:
    """Return the application for a process that only serves it.

    Objects that exist now are permanent: the garbage collector ignores them from now on. Requests
    create little garbage, so it need not run every 700 objects.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    return Served(app.front, app.connections)
