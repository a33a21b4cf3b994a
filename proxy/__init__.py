"""The data plane: a SOCKS server and a socksifier that connect outward over MPTCP. Standard library and `codec` only.

One process per core (`supervisor`, `worker`), each a bare epoll `loop`. A `listener` admits clients into a `session`;
`handshake` or `redirect` learns where a client wants to go, `resolver` and `outward` (or `via`) get there, `relay`
carries the octets, `log` tells how it went.
"""

__version__ = "0.1.0"
