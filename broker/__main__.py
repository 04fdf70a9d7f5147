"""``python -m broker``, and the command ``broker``."""

from broker.cli.main import main

if __name__ == "__main__":
    main()
