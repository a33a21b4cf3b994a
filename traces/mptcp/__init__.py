"""What a capture says of Multipath TCP connections (RFC 8684, RFC 6824): from columns of segments to a `Trace`."""
