"""The lab host: running commands, journalled steps, host network, libvirt domain, the emulated internet."""

import os

# libvirt reads this once, when it is first imported: its embedded driver would log between our own lines.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")
