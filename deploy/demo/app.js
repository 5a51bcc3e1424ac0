// SPDX-License-Identifier: MIT
// Asks for the parts of this page again and shows what the node said about each.
const paths = ["/", "/style.css", "/app.js", "/img/logo.svg", "/img/way.svg", "/time.json", "/missing"];
const body = document.getElementById("requests");

// no-store keeps the browser's own cache out of it; the max-age stands in for the no-cache
// that fetch() would send with it, which would send every request to the origin.
async function ask(path) {
  const start = performance.now();
  const response = await fetch(path, { cache: "no-store", headers: { "Cache-Control": "max-age=86400" } });
  await response.arrayBuffer();
  const header = (name) => response.headers.get(name) ?? "";
  return {
    cells: [path, response.status, header("age"), header("cache-status"),
            (performance.now() - start).toFixed(1)],
    hit: header("cache-status").includes("hit"),
  };
}

async function show() {
  const rows = [];
  for (const path of paths) {
    const { cells, hit } = await ask(path);
    const row = document.createElement("tr");
    row.className = hit ? "hit" : "";
    for (const text of cells) row.insertCell().textContent = text;
    rows.push(row);
  }
  body.replaceChildren(...rows);
}

document.getElementById("again").addEventListener("click", show);
show();
