"""The register of open matters: every search names one, so that "under which case" always has an answer."""
