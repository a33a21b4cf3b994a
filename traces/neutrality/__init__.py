"""What a network does to Multipath TCP: probes and transfers, statistics, and a verdict with its evidence."""
