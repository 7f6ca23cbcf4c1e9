"""The command line. Client commands talk REST only; ``serve`` and ``db`` run the controller."""
