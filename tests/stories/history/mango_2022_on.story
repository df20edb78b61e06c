# The same with the controls on: open interest is bounded for everybody together, winners pay for their own loser, and
# profit that has not been paid backs no loan.
borrowing DAI up to 1_000_000
DAI index 1
lender deposits 200_000 DAI
mallory deposits 5_000
mallet deposits 5_000
list MNGO-PERP lot_size=1 open_interest_limit=20_000
MNGO-PERP marks 0.038
mallory buys 400_000 MNGO-PERP at 0.038 from mallet
expect refused OPEN_INTEREST_LIMIT
mallory buys 20_000 MNGO-PERP at 0.038 from mallet
MNGO-PERP marks 0.91
expect event Deleveraged
mallory withdraws 116_000 DAI
expect refused INSUFFICIENT_MARGIN
# the pair has what it brought, and nobody else paid anything
expect mallory equity 10_000
expect mallet equity 0
expect house equity 0
audit
