const { Hono } = require("hono");
const { cors } = require("hono/cors");
const { serve } = require("@hono/node-server");
const app = new Hono();
app.use(cors({
  origin: ["https://app.example"], allowMethods: ["GET", "HEAD", "POST", "PUT"], allowHeaders: ["content-type", "x-token"],
  exposeHeaders: ["x-total"], credentials: true, maxAge: 600,
}));
app.all("/items", (context) => context.json([1], 200, { "x-total": "1", vary: "accept-language" }));
app.get("/broken", () => { throw new Error("broken"); });
app.get("/old", (context) => context.redirect("/items"));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.argv[2]) });
