"""What labs share: runs and their clean-up, hypervisors, the controller, probes, reports."""
