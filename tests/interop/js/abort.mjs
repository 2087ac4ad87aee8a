// Four ways to leave an answer that has no end. The host does one thing at a time, so each answer waits for the one before.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const asked = { model: "chat:0.33", messages: [{ role: "user", content: "endless" }] };
const thrown = [];

const aborted = await client.chat.completions.create({ ...asked, stream: true });
for await (const chunk of aborted) {
  if (chunk.choices[0].delta.content) aborted.controller.abort();
}

for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  if (chunk.choices[0].delta.content) break;
}

for (const options of [{ signal: AbortSignal.timeout(500) }, { timeout: 500 }]) {
  await client.chat.completions.create(asked, options).catch((error) => thrown.push(error.constructor.name));
}

const last = await client.chat.completions.create({ ...asked, messages: [{ role: "user", content: "hi" }] });

console.log(JSON.stringify({ thrown, said: last.choices[0].message.content }));
