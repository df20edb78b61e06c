"""What can be held: contracts, their canonical ids and the venues' own names for them."""
