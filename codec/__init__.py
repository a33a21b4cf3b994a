"""Wire formats of the SOCKS family, sans-IO: octets in, messages out, and back. Imports the standard library only.

`codec.server` and `codec.client` hold the state machines; `codec.socks5` and `codec.socks6` the messages and their wire
functions; `codec.address`, `codec.reply` and `codec.errors` what they share.
"""
