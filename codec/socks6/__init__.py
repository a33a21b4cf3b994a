"""SOCKSv6, draft-olteanu-intarea-socks-6-11: `messages`, their `options` (`stack` among them), and `wire` form."""
