"""What it is worth: option formulas, greeks, implied vols and the value of each instrument."""
