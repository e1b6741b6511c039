const Koa = require("koa");
const cors = require("@koa/cors");
const app = new Koa();
app.silent = true;
app.use(cors({
  origin: (context) => (context.get("Origin") === "https://app.example" ? "https://app.example" : ""),
  allowMethods: "GET,HEAD,POST,PUT", allowHeaders: "content-type,x-token", exposeHeaders: "x-total", credentials: true, maxAge: 600,
}));
app.use((context) => {
  if (context.path === "/items") { context.set("x-total", "1"); context.body = [1]; }
  if (context.path === "/broken") throw new Error("broken");
  if (context.path === "/old") context.redirect("/items");
});
app.listen(Number(process.argv[2]), "127.0.0.1");
