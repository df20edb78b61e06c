# The same with a cap on what the vault may lose by takeovers: beyond it, winners' positions close its own in the same
# command, at the mark.
hlp deposits 1_000_000
hlp backstops 5_000_000 losing at most 20_000
whale deposits 12_000
pumper deposits 400_000
list JELLY-PERP lot_size=1
JELLY-PERP marks 0.0095
pumper buys 3_900_000 JELLY-PERP at 0.0095 from whale
JELLY-PERP marks 0.0118
expect event TakenOver
JELLY-PERP marks 0.019
expect event BackstopCapReached
expect hlp position JELLY-PERP 0
expect hlp balance 974_950
JELLY-PERP marks 0.05
expect hlp balance 974_950
