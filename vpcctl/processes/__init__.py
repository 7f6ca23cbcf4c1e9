"""The controller's two processes, each put together from the settings in its environment."""
