"""Check an uploaded file: size, type, checksum, and for malware if there is a scanner."""

from kernel import Feature

from . import tasks

feature = Feature(jobs=(tasks.check,))
