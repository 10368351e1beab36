"""What is taken home from a run: tables, lines, a journal for Optuna's dashboard, a branch in git."""
