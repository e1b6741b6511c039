const Hapi = require("@hapi/hapi");
const server = Hapi.server({ host: "127.0.0.1", port: Number(process.argv[2]), debug: false, routes: { cors: {
  origin: ["https://app.example"], headers: ["content-type", "x-token"], exposedHeaders: ["x-total"], credentials: true, maxAge: 600,
} } });
server.route({ method: ["GET", "POST", "PUT"], path: "/items", handler: (request, h) => h.response([1]).header("x-total", "1") });
server.route({ method: "GET", path: "/broken", handler: () => { throw new Error("broken"); } });
server.route({ method: "GET", path: "/old", handler: (request, h) => h.redirect("/items") });
server.start();
