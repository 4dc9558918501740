"""The slices that the application has or had, with their privileges and topics: see kit.shipped."""

from kit.shipped import read

SLICES, GRANTS, TOPICS = read()
