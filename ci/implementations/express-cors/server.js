const express = require("express");
const cors = require("cors");
const app = express();
app.use(cors({
  origin: ["https://app.example"],
  methods: ["GET", "HEAD", "POST", "PUT"],
  allowedHeaders: ["content-type", "x-token"],
  exposedHeaders: ["x-total"],
  credentials: true,
  maxAge: 600,
}));
app.all("/items", (request, response) => response.set("x-total", "1").json([1]));
app.get("/broken", () => { throw new Error("broken"); });
app.get("/old", (request, response) => response.redirect("/items"));
app.listen(Number(process.argv[2]), "127.0.0.1");
