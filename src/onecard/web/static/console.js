// The overview refreshes itself; all pages work without this file.
"use strict";

const REFRESH_MILLISECONDS = 10000;

async function refresh(place) {
  try {
    const answer = await fetch(place.dataset.refresh, { headers: { accept: "text/html" } });
    if (answer.ok && !answer.redirected) place.innerHTML = await answer.text();
  } catch {
    // The next round tries again.
  }
}

for (const place of document.querySelectorAll("[data-refresh]")) {
  setInterval(() => document.hidden || refresh(place), REFRESH_MILLISECONDS);
}
