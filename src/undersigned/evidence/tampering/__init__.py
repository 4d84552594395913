"""The kinds of tampering: each from a pack taken apart to the files of one that was tampered with."""
