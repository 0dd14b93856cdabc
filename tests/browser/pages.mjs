// Every page in every state, in every language by day and in English by night, on a phone: axe finds nothing, and
// nothing sticks out.
//
// Takes: a file in JSON with the base URL of `api`, the page of the inbox, and the states: a name, the path that shows
// it, and the fields to fill in and send first where it takes that (`{}` is another number each time). Gives: one line
// for each finding, and the exit code.

import { readFileSync } from "node:fs";
import { findings, launch, open } from "./browser.mjs";

const { api, inbox, states } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const DIRECTIONS = { en: "ltr", de: "ltr", vi: "ltr", ar: "rtl" };

const browser = await launch();
const all = [];
let seen = 0;

async function show(page, { path, fields }) {
  await page.goto(path.startsWith("http") ? path : api + path);
  if (!fields) return;
  const form = page.locator("form").first();
  for (const [name, value] of Object.entries(fields)) {
    await form.locator(`[name=${name}]`).fill(value.replace("{}", seen));
  }
  await form.locator("button").click();
}

async function wrong(page, name, language) {
  const found = await findings(page);
  const [lang, dir] = await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]);
  if (lang !== language || dir !== DIRECTIONS[language]) found.push(`the page says ${lang} ${dir}`);
  return found.map((one) => `${name}, ${language}: ${one}`);
}

const passes = [...Object.keys(DIRECTIONS).map((language) => [language, "light"]), ["en", "dark"]];
for (const [language, colorScheme] of passes) {
  const page = await open(browser, { locale: language, colorScheme });
  for (const state of states) {
    await show(page, state);
    const shown = await page.locator("h1").textContent();
    if (language === "en" && !shown.includes(state.heading)) all.push(`${state.name}: shows ${shown}`);
    all.push(...(await wrong(page, `${state.name}, ${colorScheme}`, language)));
    seen += 1;
  }
  await page.context().close();
}
for (const viewport of [{ width: 360, height: 740 }, { width: 1280, height: 800 }]) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, { viewport, colorScheme });
    await page.goto(inbox);
    await page.locator("iframe").waitFor();
    all.push(...(await findings(page)).map((one) => `inbox, ${viewport.width}, ${colorScheme}: ${one}`));
    seen += 1;
  }
}
// A mail is no page of a site: it has neither landmarks nor a heading of its own.
const mails = await (await fetch(`${inbox}/messages.json`)).json();
const byLanguage = new Map(mails.map((mail) => [mail.html.match(/<html lang="(\w+)"/)[1], mail.html]));
for (const [language, html] of byLanguage) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, { colorScheme });
    await page.setContent(html);
    const found = await findings(page, ["landmark-one-main", "page-has-heading-one", "region"]);
    all.push(...found.map((one) => `mail, ${language}, ${colorScheme}: ${one}`));
    await page.context().close();
  }
}
if (byLanguage.size !== Object.keys(DIRECTIONS).length) all.push(`mails in ${[...byLanguage.keys()]} alone`);
await browser.close();
console.log([...all, `${seen} pages, ${all.length} findings`].join("\n"));
process.exitCode = all.length > 0 ? 1 : 0;
