from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
async def items(request): return JSONResponse([1], headers={"x-total": "1"})
async def broken(request): raise RuntimeError("broken")
async def old(request): return RedirectResponse("/items")
app = Starlette(routes=[Route("/items", items, methods=["GET", "POST", "PUT"]), Route("/broken", broken), Route("/old", old)], middleware=[Middleware(CORSMiddleware, allow_origins=["https://app.example"], allow_methods=["GET", "POST", "PUT"], allow_headers=["content-type", "x-token"], allow_credentials=True, expose_headers=["x-total"], max_age=600)])
