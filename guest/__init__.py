"""What is done inside the guest, over SSH: addresses, MPTCP endpoints, the proxy and its services."""
