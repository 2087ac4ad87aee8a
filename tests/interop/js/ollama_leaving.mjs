// Two ways to leave an answer that has no end, and an answer after that.
import { connect, print } from "./ollama_client.mjs";

const client = connect();
const asked = { model: `chat:${process.env.KIND}`, messages: [{ role: "user", content: "endless" }], stream: true };
const thrown = [];

for (const abort of [(stream) => stream.abort(), () => client.abort()]) {
  const stream = await client.chat({ ...asked });
  try {
    for await (const _ of stream) abort(stream);
  } catch (error) {
    thrown.push(error.name);
  }
}

const last = await client.chat({ ...asked, messages: [{ role: "user", content: "hi" }], stream: false });

print({ thrown, said: last.message.content });
