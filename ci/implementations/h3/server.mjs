import { H3, HTTPError, handleCors, redirect, serve } from "h3";
const options = {
  origin: ["https://app.example"], methods: ["GET", "HEAD", "POST", "PUT"], allowHeaders: ["content-type", "x-token"],
  exposeHeaders: ["x-total"], credentials: true, maxAge: "600",
};
const app = new H3({ silent: true });
app.use((event) => {
  const answer = handleCors(event, options);
  if (answer !== false) return answer;
});
app.all("/items", (event) => {
  event.res.headers.set("x-total", "1");
  return [1];
});
app.get("/broken", () => { throw new HTTPError("broken"); });
app.get("/old", () => redirect("/items"));
serve(app, { hostname: "127.0.0.1", port: Number(process.argv[2]), silent: true });
