"""Where collateral should sit, and which trade helps most: small optimisations over margin."""
