const restify = require("restify");
const corsMiddleware = require("restify-cors-middleware2");
const cors = corsMiddleware({
  origins: ["https://app.example"], allowHeaders: ["content-type", "x-token"], exposeHeaders: ["x-total"],
  credentials: true, preflightMaxAge: 600,
});
const server = restify.createServer();
server.pre(cors.preflight);
server.use(cors.actual);
const items = (request, response, next) => { response.header("x-total", "1"); response.json([1]); next(); };
for (const method of ["get", "head", "post", "put"]) server[method]("/items", items);
server.get("/broken", (request, response, next) => next(new Error("broken")));
server.get("/old", (request, response, next) => response.redirect("/items", next));
server.listen(Number(process.argv[2]), "127.0.0.1");
