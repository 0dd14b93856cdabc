// Says what became of the mail, as long as the page is open. Without scripts the page stands as it is.
"use strict";
const line = document.getElementById("delivery");

async function follow(known) {
  let wait = 5;
  try {
    const path = "v1/delivery_state" + (known ? "?after=" + known : "");
    const answer = await fetch(path, { headers: { "Signup-Token": line.dataset.token } });
    if (answer.status === 404) return;
    if (answer.ok) {
      known = (await answer.json()).state;
      line.textContent = line.dataset[known] ?? "";
      line.hidden = false;
      if (known === "verified") return;
    }
    wait = Number(answer.headers.get("Retry-After") ?? (answer.ok ? 0 : 5));
  } catch {
    // The network is away; it is asked again.
  }
  setTimeout(follow, wait * 1000, known);
}
follow("");
