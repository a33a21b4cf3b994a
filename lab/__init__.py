"""The lab host: running commands, journalled steps, host network, libvirt domain, the emulated internet."""
