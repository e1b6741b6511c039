const app = require("fastify")();
app.register(require("@fastify/cors"), {
  origin: ["https://app.example"], methods: ["GET", "HEAD", "POST", "PUT"], allowedHeaders: ["content-type", "x-token"],
  exposedHeaders: ["x-total"], credentials: true, maxAge: 600,
});
app.register(async (app) => {
  app.route({ method: ["GET", "POST", "PUT"], url: "/items", handler: async (request, reply) => reply.header("x-total", "1").send([1]) });
  app.get("/broken", async () => { throw new Error("broken"); });
  app.get("/old", async (request, reply) => reply.redirect("/items"));
});
app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
