// What the client throws: for a missing key, a missing model, and what a host says.
import { both, connect, outcome, print } from "./ollama_client.mjs";

const client = connect();
const messages = [{ role: "user", content: "hi" }];
const model = `chat:${process.env.KIND}`;

print({
  unknown: await both(client, "chat", { model: "nobody", messages }),
  wrong: await both(client, "chat", { model, messages, options: { num_ctx: "many" } }),
  late: await outcome(async () => {
    for await (const _ of await client.chat({ model, messages, stream: true }));
  }),
  key: await both(connect({ headers: {} }), "chat", { model, messages }),
  list: await outcome(() => connect({ headers: { Authorization: "Bearer sk-wrong" } }).list()),
});
