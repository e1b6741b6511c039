from litestar import Litestar, Response, get, route
from litestar.config.cors import CORSConfig
from litestar.response import Redirect
@get("/items")
async def items() -> Response: return Response([1], headers={"x-total": "1", "vary": "accept-language"})
@route("/items", http_method=["HEAD", "POST", "PUT"], status_code=200)
async def change() -> Response: return Response(None, headers={"x-total": "1"})
@get("/broken")
async def broken() -> None: raise RuntimeError("broken")
@get("/old")
async def old() -> Redirect: return Redirect("/items")
cors = CORSConfig(allow_origins=["https://app.example"], allow_methods=["GET", "HEAD", "POST", "PUT"], allow_headers=["content-type", "x-token"], allow_credentials=True, expose_headers=["x-total"], max_age=600)
app = Litestar([items, change, broken, old], cors_config=cors)
