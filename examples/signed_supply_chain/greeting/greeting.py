"""Says hello, and nothing else: small enough to be read whole before it is built."""


def greet(name: str) -> str:
    return f"Hello, {name}."
