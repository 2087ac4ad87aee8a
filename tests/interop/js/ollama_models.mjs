// Models that come, are made, and go. The client that is told how far a pull is shows it as a program with a bar does.
import { both, connect, outcome, pieces, print } from "./ollama_client.mjs";

const client = connect();
const names = async () => (await client.list()).models.map((model) => model.name);

const bars = new Map();
for (const { digest, total, completed = 0 } of await pieces(client.pull({ model: "mistral", insecure: false, stream: true }))) {
  if (digest) bars.set(digest, { total, completed, forward: completed >= (bars.get(digest)?.completed ?? 0) });
}
const pulled = await client.pull({ model: "mistral", insecure: true });
const unknown = await both(client, "pull", { model: "nobody" });
const listed = (await names()).includes("mistral:latest");

const settings = {
  template: "{{ .System }} {{ .Prompt }}",
  license: ["MIT", "and more"],
  system: "You are Mario.",
  parameters: { temperature: 0.5 },
  messages: [{ role: "user", content: "Who?" }],
};
const made = await both(client, "create", { model: "mario", from: "tiny-embed", ...settings });
const shown = (await client.show({ model: "mario" })).system;
const small = await both(client, "create", { model: "small", from: "plain:0.33", quantize: "q4_K_M" });
const tuned = await both(client, "create", { model: "tuned", from: "demo", adapters: { "a.gguf": process.env.DIGEST } });

const copied = await client.copy({ source: "mistral", destination: "alice/mistral" });
const pushed = await both(client, "push", { model: "alice/mistral", insecure: true });
const gone = await client.delete({ model: "alice/mistral" });
const twice = await outcome(() => client.delete({ model: "alice/mistral" }));

print({ bars: [...bars.values()], pulled, unknown, listed, made, shown, small, tuned, copied, pushed, gone, twice });
