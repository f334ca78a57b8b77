"""Python starts with this where a test puts the folder on PYTHONPATH: no network, children too."""

import sys


def _refuse(event: str, arguments: tuple) -> None:
    local = event == "socket.connect" and isinstance(arguments[1], (str, bytes))
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostby")) and not local:
        raise PermissionError(f"no network in this test: {event} {arguments[1:]}")


sys.addaudithook(_refuse)
