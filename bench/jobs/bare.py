"""A bare Celery worker with one task that sends a letter: `python -m bench.jobs.bare BROKER …`.

No lease, no record, no template, no database: only the message and the SMTP conversation.
"""

import smtplib
import sys
from typing import Final

from celery import Celery

QUEUE: Final = "bare"
TASK: Final = "bare.send"
SENDER: Final = "app@example.com"
_HEAD: Final = f"From: {SENDER}\r\nSubject: A note\r\nContent-Type: text/plain\r\n\r\n"
LETTER: Final = _HEAD + "Your account is ready, and this is a line of it.\r\n" * 35
"""As large as the letter of the other job."""


def bare(broker: str) -> Celery:
    """Return the application, with Celery's own settings."""
    app = Celery("bare", broker=broker, set_as_current=False)
    app.conf.update(
        task_ignore_result=True, task_default_queue=QUEUE, worker_hijack_root_logger=False
    )
    return app


def _work(broker: str, smtp_port: int, pool: str, concurrency: int) -> None:
    app = bare(broker)

    def send(recipient: str) -> None:
        with smtplib.SMTP("127.0.0.1", smtp_port, timeout=10) as server:
            server.sendmail(SENDER, [recipient], LETTER)

    app.task(send, name=TASK)

    app.Worker(
        pool=pool,
        concurrency=concurrency,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    ).start()


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
