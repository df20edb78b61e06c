"""What could happen: joint moves of prices and vols, as arrays with labels."""
