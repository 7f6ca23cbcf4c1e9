"""What can go wrong with key material on disk."""


class PkiError(Exception):
    """Key material is missing, incomplete, unreadable or does not fit together.

    The text is one sentence for an operator and names the path concerned.
    """
