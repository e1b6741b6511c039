import sys
from quart import Quart, jsonify, redirect
from quart_cors import cors
app = cors(Quart("items"), allow_origin=["https://app.example"], allow_methods=["GET", "HEAD", "POST", "PUT"], allow_headers=["content-type", "x-token"], expose_headers=["x-total"], allow_credentials=True, max_age=600)
@app.route("/items", methods=["GET", "POST", "PUT"])
async def items():
    answer = jsonify([1])
    answer.headers["x-total"] = "1"
    return answer
@app.route("/broken")
async def broken(): raise RuntimeError("broken")
@app.route("/old")
async def old(): return redirect("/items")
