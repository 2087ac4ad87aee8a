// Vectors, by both methods.
import { connect, outcome, print } from "./ollama_client.mjs";

const client = connect();
const model = "tiny-embed";
const long = "hello ".repeat(100);

print([
  await client.embed({ model, input: "hello world" }),
  await client.embed({ model, input: ["good bye", "naïve café, 日本語 🙂"], keep_alive: "5m", options: { num_ctx: 32 } }),
  await client.embed({ model, input: long, dimensions: 8, truncate: true }),
  await outcome(() => client.embed({ model, input: long, truncate: false })),
  await client.embeddings({ model, prompt: "hello world", keep_alive: 60, options: { num_ctx: 32 } }),
  await outcome(() => client.embeddings({ model, prompt: long })),
]);
