"""The file that shows that a process works."""

import os
import time

from kernel.observe.heartbeat import Heartbeat


def touched(file):
    """Return whether the file was touched since the last call."""
    if not file.exists():
        return False
    found = file.stat().st_mtime > 1
    os.utime(file, (1, 1))
    return found


def test_the_first_beat_makes_the_file(tmp_path):
    file = tmp_path / "alive"
    Heartbeat(file).beat()
    assert time.time() - file.stat().st_mtime < 5


def test_without_a_file_a_beat_does_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Heartbeat(None).beat()
    assert list(tmp_path.iterdir()) == []


def test_however_often_it_is_asked_it_touches_the_file_every_five_seconds(tmp_path, frozen_time):
    file, beats = tmp_path / "alive", 0
    one = Heartbeat(file)
    for _ in range(200):  # 20 seconds
        one.beat()
        beats += touched(file)
        frozen_time.tick(0.1)
    assert beats == 4


def test_a_file_that_was_deleted_comes_back(tmp_path, frozen_time):
    file = tmp_path / "alive"
    one = Heartbeat(file)
    one.beat()
    file.unlink()
    frozen_time.tick(5)
    one.beat()
    assert file.exists()
