"""Was it enough: backtests of margin against what then happened, and the tests of their outcomes."""
