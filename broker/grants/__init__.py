"""The register of permission: what owners allow to be passed on, recorded only by them or with their evidence."""
