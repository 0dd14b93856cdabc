// A client in TypeScript whose types and paths come from docs/openapi.json alone.
//
// Takes: the base URL, then `signup NAME ADDRESS PASSWORD` or `verify NAME DIGITS`. Gives: what was answered, on a
// line.
// Does not: know anything of the interface that the description does not say; `tsc --strict` sees to that.

import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[]; exitCode: number };

const [baseUrl, task, ...given] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl });

async function signUp(username: string, email: string, password: string): Promise<string> {
  const body = { username, full_name: "Alice Liddell", email, password };
  const { data, error } = await client.POST("/v1/create_user", { body });
  if (data) return `created ${data.user.username} at ${new Date(data.user.created_at).getFullYear()}`;
  const wrong = error.details?.flatMap((detail) => ("field_violations" in detail ? detail.field_violations : []));
  return wrong ? wrong.map((one) => `${one.field} ${one.description}`).join("; ") : error.message;
}

async function verify(username: string, code: string): Promise<string> {
  const { data, error } = await client.POST("/v1/verify_code", { body: { username, code } });
  return data ? `verified ${data.is_verified}` : `${error.code} ${error.message}`;
}

const [first = "", second = "", third = ""] = given;
console.log(await (task === "signup" ? signUp(first, second, third) : verify(first, second)));
