// Uses the generated TypeScript types: sign up, log in, write, read. Argument: URL.
import createClient from "openapi-fetch";
import type { paths } from "./generated";

const baseUrl = process.argv[2];
const email = `${crypto.randomUUID()}@example.com`;
const password = "correct horse 9";

function taken<T>(result: { data?: T; error?: unknown }): T {
  if (result.data === undefined) throw new Error(JSON.stringify(result.error));
  return result.data;
}

const anyone = createClient<paths>({ baseUrl });
taken(await anyone.POST("/api/v1/auth/signup", { body: { email, password } }));
const session = taken(await anyone.POST("/api/v1/auth/login", { body: { email, password } })).data;
const caller = createClient<paths>({
  baseUrl,
  headers: { Authorization: `Bearer ${session.access_token}` },
});
const body = { title: "A title", content: "Some content.", published: true };
const post = taken(await caller.POST("/api/v1/posts", { body })).data;
const path = { post_id: post.id };
const read = taken(await anyone.GET("/api/v1/posts/{post_id}", { params: { path } })).data;
if (read.title !== body.title || read.author_id !== session.user.id) throw new Error("another post");
const missing = await anyone.GET("/api/v1/posts/{post_id}", {
  params: { path: { post_id: crypto.randomUUID() } },
});
if (missing.error?.error.code !== "POST_NOT_FOUND") throw new Error("found what is missing");
console.log("done");
