// What there is, what is in memory, what a model is like, and the version.
import { connect, print } from "./ollama_client.mjs";

const client = connect();
const model = `chat:${process.env.KIND}`;
await client.chat({ model, messages: [] });

print({
  list: await client.list(),
  ps: await client.ps(),
  show: await client.show({ model }),
  other: await client.show({ model, system: "Be brief.", template: "{{ .Prompt }}", options: { num_ctx: 64 } }),
  version: await client.version(),
});
