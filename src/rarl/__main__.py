"""`python -m rarl`, for where the script is not on the path."""

from rarl.cli import main

if __name__ == "__main__":
    main()
