import sys
from wsgiref.simple_server import make_server
import falcon

class Items:
    def on_get(self, request, response):
        response.media = [1]
        response.set_header("x-total", "1")
    on_post = on_put = on_head = on_get
class Broken:
    def on_get(self, request, response): raise RuntimeError("broken")
class Old:
    def on_get(self, request, response): raise falcon.HTTPFound("/items")

app = falcon.App(middleware=falcon.CORSMiddleware(allow_origins="https://app.example", allow_credentials="https://app.example", expose_headers="x-total"))
app.add_route("/items", Items())
app.add_route("/broken", Broken())
app.add_route("/old", Old())
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
