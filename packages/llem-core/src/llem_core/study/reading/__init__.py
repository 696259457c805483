"""Results that are on the disk, in whatever state they are."""
