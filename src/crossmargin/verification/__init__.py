"""Do we match others: readers of the independent cases, one file per system."""
