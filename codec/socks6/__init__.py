"""SOCKSv6 (draft-olteanu-intarea-socks-6-11), and in `draft04` its older dialect.

`messages` and `wire` hold what travels before the data, `udp` the UDP associations; `option` says what an option is,
`stack` and `options` name them all, `option_list` reads and writes lists of them. `dialect` puts both drafts behind one
interface. `tokens` and `sessions` keep what a proxy and a client remember between connections.
"""
