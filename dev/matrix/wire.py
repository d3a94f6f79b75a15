"""A line between a client and a store that can flip a bit of a body, or hold one. A library of dev/matrix/stores.py."""

import socket
import threading

# A body of so many bytes is a part of a backup.
LARGE = 1 << 20


class Wire(threading.Thread):
    """A proxy on a port of its own that reads the client's requests. `deed(number)` says what happens to the number-th large body:
    None, "flip" or "hold"."""

    def __init__(self, port, deed):
        super().__init__(daemon=True)
        self.target, self.deed, self.large = port, deed, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock, self.holds, self.ended = threading.Lock(), threading.Event(), threading.Event()
        self.paths, self.answers = [], []
        self.start()

    def run(self):
        while not self.ended.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.line, args=(client,), daemon=True).start()

    def stop(self):
        """No more lines."""
        self.ended.set()
        self.listener.close()

    def line(self, client):
        """One connection, request by request. The answers are passed on as they come."""
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            awaited = []
            down = threading.Thread(target=self.down, args=(server, client, awaited), daemon=True)
            down.start()
            requests = client.makefile("rb")
            try:
                while self.request(requests, server, awaited):
                    pass
            except OSError:
                pass
            finally:
                for end in (client, server):
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                down.join(5)

    def request(self, requests, server, awaited):
        """Passes one request on; false when there is none."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = requests.readline(65536)
            if not line:
                return False
            head += line
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
        left = int(fields.get(b"content-length", b"0"))
        deed = None
        if left >= LARGE:
            with self.lock:
                self.large += 1
                deed = self.deed(self.large)
        if deed:
            self.paths.append(head.split(b" ")[1].decode())
        server.sendall(head)
        if deed == "hold":
            self.holds.set()
            self.ended.wait()
            return False
        if deed == "flip":
            awaited.append(True)
        middle = left // 2
        while left:
            body = requests.read(min(left, 65536))
            if not body:
                return False
            if deed == "flip" and left >= middle > left - len(body):
                at = left - middle
                body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
            left -= len(body)
            server.sendall(body)
        return True

    def down(self, server, client, awaited):
        """Server to client. The first status line after a flipped body is what the store said of it."""
        try:
            while data := server.recv(65536):
                if awaited and data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
                    awaited.clear()
                    self.answers.append(int(data[9:12]))
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
