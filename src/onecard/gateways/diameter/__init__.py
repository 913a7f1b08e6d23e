"""Diameter: the network asks what a call, a text or a data session may use, and reports what it used.

`constants` names the numbers of the specifications, `messages` are the frozen values, `dictionary` is the table of
what is in which of them, `codec` turns octets into them and back. `session` is the state machine of one connection:
octets in, `events` out. `answers` keeps what was answered, for those who ask again. `peer` drives a session on a
socket, `endpoint` is this node as its peers see it; `server` waits for peers, `client` goes to them.
"""
