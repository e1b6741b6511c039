import sys
import aiohttp_cors
from aiohttp import web

async def items(request): return web.json_response([1], headers={"x-total": "1"})
async def broken(request): raise RuntimeError("broken")
async def old(request): raise web.HTTPFound("/items")

app = web.Application()
options = aiohttp_cors.ResourceOptions(allow_credentials=True, expose_headers=["x-total"], max_age=600,
    allow_headers=["content-type", "x-token"], allow_methods=["GET", "HEAD", "POST", "PUT"])
cors = aiohttp_cors.setup(app, defaults={"https://app.example": options})
for method, path, handler in [("GET", "/items", items), ("HEAD", "/items", items), ("POST", "/items", items), ("PUT", "/items", items),
                              ("GET", "/broken", broken), ("GET", "/old", old)]:
    cors.add(app.router.add_route(method, path, handler))
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
