// A person signs up on a phone, with the keyboard alone and without scripts, and verifies by the button of the mail;
// another one types the code. With SCREENSHOTS=folder, what they see is written there.
//
// Takes: the base URL of `api` and the page of the inbox. Gives: the exit code.

import assert from "node:assert/strict";
import { launch, open, overflow } from "./browser.mjs";

const [api, inbox] = process.argv.slice(2);
const folder = process.env.SCREENSHOTS;
const browser = await launch();

async function picture(page, name, fullPage = true) {
  assert.equal(await overflow(page), 0, `${name} is wider than the screen`);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage });
}

const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.type);
const heading = (page) => page.locator("h1").textContent();

// As people do who have no mouse: the next field by Tab, whatever has the focus takes what is typed.
async function type(page, fields) {
  for (const [name, text] of Object.entries(fields)) {
    while ((await focused(page)) !== name) await page.keyboard.press("Tab");
    await page.keyboard.press("Control+A");
    await page.keyboard.type(text);
  }
  await enter(page);
}

async function enter(page) {
  const loaded = page.waitForEvent("load");
  await page.keyboard.press("Enter");
  await loaded;
}

async function mail(address) {
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    const answer = await fetch(`${inbox}/messages.json?to=${encodeURIComponent(address)}`);
    const mails = await answer.json();
    if (mails.length > 0) return mails.at(-1);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return assert.fail(`no mail to ${address}`);
}

async function byKeyboardWithoutScript() {
  const page = await open(browser, { javaScriptEnabled: false });
  await page.goto(`${api}/signup`);
  await picture(page, "signup");
  await type(page, { username: "Alice", full_name: "Alice Liddell", email: "alice@example", password: "short" });
  assert.equal(await focused(page), "username", "the first field that is wrong has the focus");
  assert.equal(await page.inputValue("#full_name"), "Alice Liddell");
  assert.equal(await page.inputValue("#password"), "", "a password is not sent back");
  const wrong = await page.locator("[aria-invalid=true]").evaluateAll((all) => all.map((one) => one.id));
  assert.deepEqual(wrong, ["username", "password"]);
  await picture(page, "signup-wrong");
  await type(page, { username: "alice", email: "alice@example.com", password: "drink me, said the label" });
  assert.equal(await heading(page), "Please look into your inbox");
  await picture(page, "signup-sent");
  await page.reload();
  assert.equal(await heading(page), "Please look into your inbox", "the page loaded again is the same signup");
  await byButton(page);
}

async function byButton(page) {
  const reader = await open(browser, { viewport: { width: 1000, height: 700 } });
  await mail("alice@example.com");
  await reader.goto(inbox);
  await reader.locator("iframe").waitFor();
  await picture(reader, "inbox", false);
  const link = await reader.frameLocator("iframe").locator("a").first().getAttribute("href");
  await page.goto(link);
  await picture(page, "verify");
  assert.equal((await page.context().cookies()).length, 0);
  await page.keyboard.press("Tab");
  await enter(page);
  assert.equal(await heading(page), "Your email address is verified");
  await picture(page, "verified");
  await page.goto(link);
  assert.equal(await heading(page), "Your email address is verified", "a second click says the same");
}

// In German, in the dark, and the second of two clicks is not a second signup.
async function byCode() {
  const page = await open(browser, { locale: "de", colorScheme: "dark" });
  await page.goto(`${api}/signup`);
  await page.fill("#username", "bobby");
  await page.fill("#full_name", "Bobby Söder");
  await page.fill("#email", "bobby@example.com");
  await page.fill("#password", "drink me, said the label");
  await page.locator("button").dblclick();
  await page.getByRole("heading", { level: 1, name: "Bitte sehen Sie in Ihr Postfach" }).waitFor();
  const { subject, text } = await mail("bobby@example.com");
  assert.match(subject, /bestätigen/i);
  await page.getByRole("status").filter({ hasText: "Der Mailserver hat die E-Mail angenommen." }).waitFor();
  await picture(page, "signup-delivered-dark");
  await page.fill("#code", "000000");
  await page.keyboard.press("Enter");
  await page.locator("[role=alert]").waitFor();
  await page.fill("#code", text.match(/\b(\d{3}) ?(\d{3})\b/)[0]);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Ihre E-Mail-Adresse ist bestätigt" }).waitFor();
}

// A page of somebody else sends our form for whoever looks at it.
async function fromElsewhere() {
  const page = await open(browser);
  const fields = { username: "mallory", full_name: "Mallory", email: "mallory@example.com", password: "not hers" };
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`).join("");
  await page.goto(`${inbox}/rules`); // Another origin, which lets its pages send forms.
  await page.setContent(`<form method="post" action="${api}/signup">${inputs}</form>`);
  const answer = page.waitForResponse(`${api}/signup`);
  await page.evaluate(() => document.forms[0].submit());
  assert.equal((await answer).status(), 403);
  await page.getByText("This form was sent from another site.").waitFor();
  assert.deepEqual([await page.inputValue("#username"), await page.inputValue("#password")], ["mallory", ""]);
}

await byKeyboardWithoutScript();
await fromElsewhere();
await byCode();
const arabic = await open(browser, { locale: "ar" });
await arabic.goto(`${api}/signup`);
await picture(arabic, "signup-arabic");
await browser.close();
