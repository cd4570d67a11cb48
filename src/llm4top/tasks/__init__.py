"""Questions about trials, their labels, and the rules that read a label off a record."""
