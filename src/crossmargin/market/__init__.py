"""What is observed: prices, forwards and vols at one time, each with its quality."""
