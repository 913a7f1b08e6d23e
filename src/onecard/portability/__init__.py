"""Numbers that leave: taken along by subscribers, or given back to whose range they are of; and the account of all.

There is no port-in yet: numbers come from the pools only, and the gate `port_in` stands before nothing.
"""
