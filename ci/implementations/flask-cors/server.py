import sys
from flask import Flask, jsonify, redirect
from flask_cors import CORS
app = Flask(__name__)
CORS(app, origins=["https://app.example"], methods=["GET", "HEAD", "POST", "PUT"], allow_headers=["content-type", "x-token"], supports_credentials=True, expose_headers=["x-total"], max_age=600)
@app.route("/items", methods=["GET", "POST", "PUT"])
def items(): return jsonify([1]), 200, {"x-total": "1"}
@app.route("/broken")
def broken(): raise RuntimeError("broken")
@app.route("/old")
def old(): return redirect("/items")
app.run(port=int(sys.argv[1]))
