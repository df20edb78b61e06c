"""What it does to us: risk arrays, and measures of the losses in them."""
