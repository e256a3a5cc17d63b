"""What a check tells: on the terminal, as files, as a page."""
