"""A dissector for Wireshark and tshark, in Lua, rendered from the codec's own tables: it cannot drift from the codec.

The one place in `codec` that needs Jinja2; it stays on the lab host.
"""
