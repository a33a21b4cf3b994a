"""`check-mptcp`: whether connections through the guest really are MPTCP, over every uplink."""
