"""The words that the kit's slices share."""
