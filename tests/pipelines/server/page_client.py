"""A client of the page over HTTP: asks and reads the events of the answer, as the page does in a browser."""

import re
import time
import uuid

import httpx
from lxml import html

HTML = {"Accept": "text/html"}


class PageClient(httpx.Client):
    """A browser without JavaScript, with one conversation."""

    def __init__(self, address, key=None):
        super().__init__(base_url=address, headers=HTML, timeout=60)
        self.key = key
        self.conversation = f"/page/c/{uuid.uuid4().hex}"

    def __enter__(self):
        super().__enter__()
        if self.key is not None:
            assert self.post("/page/login", data={"key": self.key}).status_code == 303
        self.get(self.conversation)  # brings the cookie of a visitor
        return self

    def start(self, question, **form):
        """Send a question; return the response."""
        return self.post(f"{self.conversation}/turns", data={"question": question, **form})

    def bodies(self, started):
        """Yield each HTML body of the turn that a response of `start` began."""
        assert started.status_code == 200, started.text
        [url] = re.findall(r'hx-sse:connect="([^"]+)"', started.text)
        with self.stream("GET", url) as events:
            assert events.status_code == 200
            assert events.headers["content-type"].startswith("text/event-stream")
            data = []
            for line in events.iter_lines():
                if line == "event: answered":
                    return
                if line.startswith("data: "):
                    data.append(line.removeprefix("data: "))
                elif data:
                    yield "\n".join(data)
                    data = []
        raise AssertionError("the events ended without their end")

    def ask(self, question, **form):
        """Ask and return the last body as a tree."""
        *_, last = self.bodies(self.start(question, **form))
        return tree_of(last)


def tree_of(text):
    return html.fragment_fromstring(text, create_parent="div")


def text_of(tree, selector):
    """Return the text of each element with a class."""
    return [element.text_content().strip() for element in tree.find_class(selector)]


def wait_until(holds, seconds=20):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
