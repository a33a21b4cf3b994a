"""From a kernel source and readable configuration fragments to a cached bzImage for the guest."""
