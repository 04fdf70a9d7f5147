"""The register of running processes: which there are, and which policy each has loaded. Nothing of the business."""
