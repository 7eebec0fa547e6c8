/**
 * The page's script. Without it every form works, and pages don't change by themselves.
 *
 * It holds a stream of server-sent events, which tells when the session has ended or the list of devices has changed, and sends the writes of
 * the race two at a time, as two tabs would.
 */
export const SCRIPT = `"use strict";
const { session } = document.body.dataset;
const stream = session === undefined ? undefined : new EventSource("/events?session=" + session);

stream?.addEventListener("devices", async () => {
  const response = await fetch("/devices");
  if (response.status !== 200) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const [fresh, shown] = [page.querySelector("#devices"), document.querySelector("#devices")];
  if (fresh && shown && !shown.contains(document.activeElement)) shown.replaceWith(document.adoptNode(fresh));
});

// The stream keeps reconnecting after the end: the answer to a login in another tab may still be under way.
stream?.addEventListener("ended", async () => {
  const response = await fetch("/devices").catch(() => undefined);
  const dialog = document.querySelector("#ended");
  if (response?.status === 200) location.reload();
  else if (!dialog.open) dialog.showModal();
});

const race = document.querySelector("#race");
race?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = race.querySelector("button");
  const said = document.querySelector("#race-said");
  const body = () => new URLSearchParams(new FormData(race));
  button.disabled = true;
  said.textContent = "";
  const post = async (path) => {
    const response = await fetch(path, { method: "POST", body: body(), headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(String(response.status));
    return response.json();
  };
  let sent = 0;
  let [kept, overwritten] = [0, 0];
  const show = () => {
    for (const [name, value] of [["kept", kept], ["overwritten", overwritten]]) {
      const meter = document.querySelector("#" + name);
      meter.value = value;
      meter.previousElementSibling.textContent = value + " of " + sent;
    }
  };
  try {
    await post("/race/reset");
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all([post("/race"), post("/race")]);
      sent += 2;
      kept = Math.max(...answers.map((answer) => answer.kept));
      overwritten = Math.max(...answers.map((answer) => answer.overwritten));
      show();
    }
    said.textContent = "pgstore kept " + kept + " of " + sent + " writes. A store that overwrites the whole session kept " + overwritten + ".";
  } catch {
    said.textContent = "The race broke off. Reload the page and try again.";
  }
  button.disabled = false;
});
`;
