import sys
from sanic import Sanic, json, redirect
app = Sanic("items")
app.config.CORS_ORIGINS = "https://app.example"
app.config.CORS_METHODS = ["GET", "HEAD", "POST", "PUT"]
app.config.CORS_ALLOW_HEADERS = ["content-type", "x-token"]
app.config.CORS_EXPOSE_HEADERS = "x-total"
app.config.CORS_SUPPORTS_CREDENTIALS = True
app.config.CORS_MAX_AGE = 600
app.config.CORS_AUTOMATIC_OPTIONS = True
@app.route("/items", methods=["GET", "HEAD", "POST", "PUT"])
async def items(request): return json([1], headers={"x-total": "1", "vary": "accept-language"})
@app.get("/broken")
async def broken(request): raise RuntimeError("broken")
@app.get("/old")
async def old(request): return redirect("/items")
if __name__ == "__main__": app.run(host="127.0.0.1", port=int(sys.argv[1]), single_process=True)
