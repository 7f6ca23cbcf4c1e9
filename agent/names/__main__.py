"""``python -m agent.names``: started by the agent alone."""

from agent.names.process import main

if __name__ == "__main__":
    main()
