"""The dialect of draft-04 (2018), the revision that other projects link to: another wire form of the same ideas."""
