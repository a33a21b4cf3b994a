"""What runs beyond SSH or in a namespace: raw SYNs and what answers them, and timed downloads.

Standard library only: it is copied into the guest as one zipapp. Results are JSON lines on standard output.
"""
