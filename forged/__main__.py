"""`python -m forged` is `forged`."""

from forged.cli.forged import main

if __name__ == "__main__":
    main()
