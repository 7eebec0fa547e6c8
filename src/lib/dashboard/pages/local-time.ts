import { inlineScript } from "./html.ts";

/** Adds the viewer's local time to the tooltip of each instant. Without it the tooltips have UTC only. */
const CODE = `for (const time of document.querySelectorAll("time[datetime]")) {
  const local = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "long" });
  time.title = local + " here\\n" + time.title;
}`;

export const LOCAL_TIME = { code: CODE, script: inlineScript(CODE) };
