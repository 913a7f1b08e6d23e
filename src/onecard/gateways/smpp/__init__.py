"""SMPP 3.4: short texts between message centres and those who send through them.

`constants` names the numbers of the specification, `pdus` are the frozen values, `codec` turns octets into
them and back, `receipts` and `times` read what travels inside of them. `session` is the state machine of one
connection: octets in, `events` out, by the table in `states`.
"""
