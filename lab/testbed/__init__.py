"""The emulated internet: two ISPs, a core and servers, all in network namespaces of this machine.

    lab host ─ wlp1s0 ─ fixed1 (home gateway, NAT) ─ fixed2 … fixed4 ─┐        ┌─ dns           ┌─ web, plain     ┌─ far
             └ wlan1 ── mobile1 … mobile5 (box) ─ mobile6 (NAT) … 8 ──┴─ core1 ┴─ core2 … core5 ┴─ core6 … core7 ─┘

A router can interfere (`box/`): the mobile ISP's fifth does when interception is asked for, and `corridor` is a short
path with any one box on it. `topology` computes it from settings, `render` writes it down as the kernel tools want it,
`build` makes it, `teardown` removes it. Nothing in it can reach a real network, and it leaves nothing outside its
namespaces.
"""
