"""The entities, events and errors that the kit's slices share."""
