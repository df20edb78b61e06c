"""How much is required: margin methods and venue rulebooks, one file each."""
