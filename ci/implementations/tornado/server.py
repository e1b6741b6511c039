# By hand, as the usual recipe has it: set_default_headers and an options() method.
import asyncio, sys
from tornado.web import Application, RequestHandler
class Base(RequestHandler):
    def set_default_headers(self):
        if self.request.headers.get("Origin") == "https://app.example":
            self.set_header("Access-Control-Allow-Origin", "https://app.example")
            self.set_header("Access-Control-Allow-Credentials", "true")
            self.set_header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT")
            self.set_header("Access-Control-Allow-Headers", "content-type, x-token")
            self.set_header("Access-Control-Expose-Headers", "x-total")
            self.set_header("Access-Control-Max-Age", "600")
    def options(self): self.set_status(204)
class Items(Base):
    def get(self):
        self.set_header("x-total", "1")
        self.write({"items": [1]})
    head = post = put = get
class Broken(Base):
    def get(self): raise RuntimeError("broken")
class Old(Base):
    def get(self): self.redirect("/items")
async def main():
    Application([("/items", Items), ("/broken", Broken), ("/old", Old)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()
asyncio.run(main())
