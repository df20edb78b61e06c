"""What venues say over the network, and markets live or recorded as commands; clients are imported only when asked for."""
