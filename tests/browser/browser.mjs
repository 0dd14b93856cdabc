// A real browser: Debian's Chromium, headless, steered by Playwright; and axe, which looks for what somebody who cannot
// see the page, or not well, would miss.
//
// Takes: nothing from the network but the pages. Gives: contexts as people have them, and what is wrong with a page.
// Does not: load a script into a page where its policy forbids that; axe comes by the debugger.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url); // It looks where NODE_PATH says.
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

export const PHONE = { width: 360, height: 740 };

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
}

// A page of its own, which fails the test when the browser refuses to do what it says (the content security policy),
// or when a script of it fails.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: PHONE, locale: "en", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => assert.fail(`${page.url()}: ${error}`));
  page.on("console", (message) => {
    const isAnswer = message.text().startsWith("Failed to load resource"); // A refusal is a page with status 4xx.
    assert(message.type() !== "error" || isAnswer, `${page.url()}: ${message.text()}`);
  });
  return page;
}

// What is wrong with the page as it is now, by all rules but those left out. Where scripts are off, axe does not run.
export async function findings(page, leftOut = []) {
  await page.evaluate(axe);
  const rules = Object.fromEntries(leftOut.map((rule) => [rule, { enabled: false }]));
  const options = { resultTypes: ["violations"], rules };
  const { violations } = await page.evaluate((options) => globalThis.axe.run(options), options);
  const found = violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).join(" ")}`);
  const sticksOut = await overflow(page);
  return sticksOut > 0 ? [...found, `the page is ${sticksOut} px wider than the screen`] : found;
}

export async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}
