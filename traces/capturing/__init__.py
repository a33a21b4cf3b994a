"""`capture`: tcpdump on every uplink, in the guest and on the servers, merged into one file with its circumstances."""
