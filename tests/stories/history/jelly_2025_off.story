# Hyperliquid JELLY, 26 March 2025 (F04): a short is left to the liquidation vault and the coin rises by 400 %. Off: the
# vault's whole capital stands behind the position. Scale 1:100.
hlp deposits 1_000_000
hlp backstops 5_000_000
whale deposits 12_000
pumper deposits 400_000
list JELLY-PERP lot_size=1
JELLY-PERP marks 0.0095
pumper buys 3_900_000 JELLY-PERP at 0.0095 from whale
JELLY-PERP marks 0.0118
expect event TakenOver
expect hlp position JELLY-PERP -3_900_000
JELLY-PERP marks 0.05
expect no event BackstopCapReached
# the vault lost 149,000 and still stands in it
expect hlp position JELLY-PERP -3_900_000
expect hlp equity 854_050
