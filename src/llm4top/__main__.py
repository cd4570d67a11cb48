"""``python -m llm4top``, which is also what ``torchrun -m`` starts."""

from llm4top.cli.app import main

if __name__ == "__main__":
    main()
