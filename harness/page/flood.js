// Floods one URL with fetches of one kind for a while: the request ceiling of a browser. The harness writes
// `const CROSSCHECK = {…}` before it (harness/src/bench.rs).
(async () => {
  "use strict";

  const { url, init, refused, lanes, ms, report } = CROSSCHECK;
  const end = performance.now() + ms;
  let answered = 0;
  let unexpected = 0;
  const lane = async () => {
    for (let count = 0; performance.now() < end; count += 1) {
      const fetched = fetch(`${url}?${count}`, init).then((response) => response.text());
      const failed = await fetched.then(() => false, () => true);
      if (failed === refused) answered += 1;
      else unexpected += 1;
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: lanes }, lane));
  const took = performance.now() - started;
  await fetch(report, { method: "POST", mode: "no-cors", body: JSON.stringify({ answered, unexpected, ms: took }) });
})();
