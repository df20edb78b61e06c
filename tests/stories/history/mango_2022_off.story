# Mango Markets, 11 October 2022 (F02): two accounts of one person trade a thin perpetual with each other, pump its price
# by 2,300 %, and borrow against the profit. Off: profit that nobody has paid may leave as a loan, nothing bounds the
# market's open interest, and winners do not pay for the loser whose loss their profit is. Scale 1:1000.
set unrealised_profit_withdrawable true
set layers ["house"]
borrowing DAI up to 1_000_000
DAI index 1
lender deposits 200_000 DAI
mallory deposits 5_000
mallet deposits 5_000
list MNGO-PERP lot_size=1
MNGO-PERP marks 0.038
mallory buys 400_000 MNGO-PERP at 0.038 from mallet
MNGO-PERP marks 0.91
mallory withdraws 116_000 DAI
# 10,000 went in and 116,000 came out; what the other half of the pair owes nobody paid
expect mallory balance -116_000 DAI
expect house equity -343_800
