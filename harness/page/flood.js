// Floods one URL with plain fetches for a while: the request ceiling of a browser. The harness writes
// `const CROSSCHECK = {…}` before it (harness/src/bench.rs).
(async () => {
  "use strict";

  const { url, init, lanes, ms, report } = CROSSCHECK;
  const end = performance.now() + ms;
  let answered = 0;
  const lane = async () => {
    for (let count = 0; performance.now() < end; count += 1) {
      const response = await fetch(`${url}?${count}`, init);
      await response.text();
      answered += 1;
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: lanes }, lane));
  const took = performance.now() - started;
  await fetch(report, { method: "POST", mode: "no-cors", body: JSON.stringify({ answered, ms: took }) });
})();
