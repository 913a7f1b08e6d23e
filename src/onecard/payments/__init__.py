"""How money comes to accounts from outside, and goes back: vouchers, payments, refunds, payouts."""
