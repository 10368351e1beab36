"""The language model as an operator: what it is asked, what it answers, and what becomes of the answer."""
