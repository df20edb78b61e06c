# Hyperliquid, 12 March 2025 (F05): a long takes its profit out until only maintenance is left, and leaves the rest to the
# vault, a better exit than the market. Off: withdrawals are checked at maintenance, and unpaid profit may leave.
set withdrawal_at_initial false
set unrealised_profit_withdrawable true
borrowing DAI up to 1_000_000
DAI index 1
lender deposits 200_000 DAI
hlp deposits 900_000
hlp backstops 5_000_000
maker deposits 900_000
whale deposits 60_000
list ETH-PERP lot_size=0.1
ETH-PERP marks 1_870
whale buys 175 ETH-PERP at 1_870 from maker
ETH-PERP marks 2_057
whale withdraws 40_000 DAI
ETH-PERP marks 1_860
expect event TakenOver
# the vault was paid what was left, and the price goes on
ETH-PERP marks 1_700
expect hlp position ETH-PERP 175
# 900,000 + 18,250 of the whale - 175 * 160
expect hlp equity 890_250
