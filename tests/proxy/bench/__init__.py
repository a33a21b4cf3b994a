"""The benchmark of the proxy against dante and microsocks: `invoke bench-proxy`.

`load` is the C program that makes the load, `contenders` are the proxies, `rounds` measures them in turn, `bars` says
what must be reached, `summary` shows what was, and `run` is the whole of it.
"""
