"""Pure translation between protocols: words, and never a wait.

Nothing in this package awaits, opens a socket, reads a clock, the environment or randomness, or logs. Ids and times
come in as arguments, so the same input gives the same bytes.

*decode* is wire → our types, *encode* is our types → wire.
"""
