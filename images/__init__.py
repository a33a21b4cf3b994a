"""From a recipe to a cached Debian image for the guest."""
