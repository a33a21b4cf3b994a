"""Wire formats of the SOCKS family, sans-IO: octets in, messages out, and back. Imports the standard library only.

`codec.server` and `codec.client` hold the state machines; `codec.socks4`, `codec.socks5`, `codec.rfc1929` and
`codec.socks6` the messages and their wire functions; `codec.address`, `codec.command`, `codec.method`, `codec.reply`
and `codec.errors` what they share. `python -m codec` reads and writes single messages on the command line.
"""
