"""What venues say over the network; every client is imported only when it is asked for."""
