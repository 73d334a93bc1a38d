"""Scripts that contenders run in a process of their own; they import nothing of each other."""
